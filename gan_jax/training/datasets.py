"""The data that a config names."""

from ml_collections import ConfigDict

from gan_jax import data
from gan_jax.runtime import parallel


def load_data(options: ConfigDict, split: str | None = None) -> data.Dataset:
    """The data set of the config's section `data`, or a given split of it, which keeps all classes and labels."""
    return data.load(
        options.name,
        split=split or options.split,
        size=options.size,
        channels=options.channels,
        data_dir=options.directory,
        cache_dir=options.cache,
        show_progress=parallel.is_main_process(),
        left_out=options.left_out if split is None else '',
        labels_per_class=options.labels_per_class if split is None else None,
        label_seed=options.label_seed,
    )
