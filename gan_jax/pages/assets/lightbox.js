// A picture that is clicked, or chosen by the keyboard, fills the window until the next click.
'use strict';
(() => {
  const dialog = document.createElement('dialog');
  dialog.className = 'lightbox';
  dialog.addEventListener('click', () => dialog.close());
  document.body.append(dialog);

  for (const picture of document.querySelectorAll('figure img')) {
    const enlarge = () => {
      const large = document.createElement('img');
      large.src = picture.src;
      large.alt = picture.alt;
      dialog.replaceChildren(large);
      dialog.showModal();
    };
    picture.tabIndex = 0;
    picture.addEventListener('click', enlarge);
    picture.addEventListener('keydown', (event) => event.key === 'Enter' && enlarge());
  }
})();
