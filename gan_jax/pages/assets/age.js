// How long ago a page says that its run was in training.
'use strict';
for (const time of document.querySelectorAll('time[datetime]')) {
  const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
  const age = minutes < 120 ? `${minutes} minutes` : `${Math.floor(minutes / 60)} hours`;
  time.textContent += minutes < 1 ? ' (just now)' : ` (${age} ago)`;
}
