// Opens a study in the viewer as a person would, and says what is seen: no judgement here, that is the test's.
//
// In, as JSON on standard input:
//   playwright  folder of the package playwright-core
//   browser     path of Chromium
//   address     of the viewer
//   study       Study Instance UID
//   colours     to count, by name: [red, green, blue]
//   items       what to open, one after the other: {series: text of a thumbnail, awaits: text to wait for,
//               scroll_to: text to scroll to (both may be empty), picture: path of the screenshot to make}
// Out, as JSON on standard output:
//   thumbnails  the text of each
//   first       what is seen before anything is opened, then
//   items       what is seen of each: {text: of the whole page, lit: pixels of the images that are not dark,
//               coloured: those that are not grey, tint: their mean colour, colours: pixels of each colour asked for,
//               contours: the lines drawn over the images, each [[x, y], ...], seconds: since the page was asked for}
//   faults      what the browser complained of: page errors, console errors, answers of 400 and above
'use strict';

const { LOOK_EVERY_MS, SETTLED_MS, answer, flat, listen, look, settle } = require('./browser.cjs');

const PANE = '[data-cy=viewport-pane]';
const THUMBNAIL = '[data-cy^=study-browser-thumbnail]';
const FIRST_IMAGE_MS = 90_000;
const MOST_STEPS = 60;
const STEP_MS = 150;

answer(read).catch(error => { console.error(error); process.exit(1); });

async function read(browser, ask) {
  const begun = Date.now();
  const page = await browser.newPage({ viewport: { width: 1400, height: 860 } });
  const faults = listen(page);
  const seen = async () => ({
    ...(await look(page, PANE, ask.colours)), text: flat(await page.innerText('body')), seconds: (Date.now() - begun) / 1000,
  });
  await page.addInitScript(() => localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour'])));
  await page.goto(`${ask.address}/viewer?StudyInstanceUIDs=${ask.study}`, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector(`${PANE} canvas`, { timeout: FIRST_IMAGE_MS });
  await settle(page, PANE);
  const thumbnails = (await page.locator(THUMBNAIL).allInnerTexts()).map(flat);
  const first = await seen();
  const items = [];
  for (const wanted of ask.items) {
    await page.locator(THUMBNAIL).filter({ hasText: wanted.series }).first().dblclick();
    await wait(page, wanted.awaits);
    await settle(page, PANE);
    await closePlayer(page);
    await scroll(page, wanted.scroll_to);
    await page.mouse.move(5, 855);  // no tooltip on the picture
    await page.screenshot({ path: wanted.picture });
    items.push(await seen());
  }
  return { thumbnails, first, items, faults: [...new Set(faults)] };
}

// For the text, as long as a patient person would, who moves the mouse and scrolls to and fro: on a busy machine the
// viewer may miss the moment to draw over an image, and does so at the next one. What is seen in the end is said in any case.
async function wait(page, text) {
  const deadline = Date.now() + SETTLED_MS;
  for (let look = 1; !(await page.innerText('body')).includes(text) && Date.now() < deadline; look++) {
    await page.waitForTimeout(LOOK_EVERY_MS);
    await page.mouse.move(800 + 10 * (look % 2), 450);
    if (look % 5 === 0) {
      await page.keyboard.press('ArrowDown');
      await page.waitForTimeout(LOOK_EVERY_MS);
      await page.keyboard.press('ArrowUp');
    }
  }
}

// From the image where the series opened downwards, to the one that bears the text.
async function scroll(page, text) {
  for (let step = 0; step < MOST_STEPS && !(await page.innerText('body')).includes(text); step++) {
    await page.keyboard.press('ArrowDown');
    await page.waitForTimeout(STEP_MS);
  }
  await settle(page, PANE);
}

// The viewer opens a bar for playing images over those of modality OT.
async function closePlayer(page) {
  const bar = page.getByText('FPS', { exact: true });
  if (await bar.count()) {
    await page.keyboard.press('c');
    await bar.waitFor({ state: 'detached', timeout: 5_000 });
  }
}
