"""Games beyond latents against images, each a function that makes a `gan_jax.game.Game` of networks."""
