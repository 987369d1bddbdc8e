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
//               coloured: those that are not grey, colours: pixels of each colour asked for, contours: the lines drawn over the images, each [[x, y], ...],
//               seconds: since the page was asked for}
//   faults      what the browser complained of: page errors, console errors, answers of 400 and above
'use strict';

const SOFTWARE_WEBGL = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];
const QUIET = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic'];
const PANE = '[data-cy=viewport-pane]';
const THUMBNAIL = '[data-cy^=study-browser-thumbnail]';
const FIRST_IMAGE_MS = 90_000;
const SETTLED_MS = 45_000;
const LOOK_EVERY_MS = 700;
const LOOKS_ALIKE = 3;
const MOST_STEPS = 60;
const STEP_MS = 150;
const TOLERANCE = 12;  // of 255, in each part of a colour

main().catch(error => { console.error(error); process.exit(1); });

async function main() {
  const ask = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const { chromium } = require(ask.playwright);
  const browser = await chromium.launch({
    executablePath: ask.browser, headless: true, args: ['--no-sandbox', ...QUIET, ...SOFTWARE_WEBGL],
  });
  try {
    console.log(JSON.stringify(await read(browser, ask)));
  } finally {
    await browser.close();
  }
}

async function read(browser, ask) {
  const begun = Date.now();
  const page = await browser.newPage({ viewport: { width: 1400, height: 860 } });
  const faults = listen(page);
  const seen = async () => ({
    ...(await look(page, ask.colours)), text: flat(await page.innerText('body')), seconds: (Date.now() - begun) / 1000,
  });
  await page.addInitScript(() => localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour'])));
  await page.goto(`${ask.address}/viewer?StudyInstanceUIDs=${ask.study}`, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector(`${PANE} canvas`, { timeout: FIRST_IMAGE_MS });
  await settle(page);
  const thumbnails = (await page.locator(THUMBNAIL).allInnerTexts()).map(flat);
  const first = await seen();
  const items = [];
  for (const wanted of ask.items) {
    await page.locator(THUMBNAIL).filter({ hasText: wanted.series }).first().dblclick();
    await wait(page, wanted.awaits);
    await settle(page);
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
  await settle(page);
}

// The viewer opens a bar for playing images over those of modality OT.
async function closePlayer(page) {
  const bar = page.getByText('FPS', { exact: true });
  if (await bar.count()) {
    await page.keyboard.press('c');
    await bar.waitFor({ state: 'detached', timeout: 5_000 });
  }
}

function listen(page) {
  const faults = [];
  page.on('pageerror', error => faults.push(`page: ${error.message}`));
  page.on('console', message => { if (message.type() === 'error') faults.push(`console: ${message.text().slice(0, 400)}`); });
  page.on('response', answer => { if (answer.status() >= 400) faults.push(`HTTP ${answer.status()}: ${answer.url()}`); });
  return faults;
}

// Until the page is the same in several looks.
async function settle(page) {
  const deadline = Date.now() + SETTLED_MS;
  let last = '', alike = 0;
  while (alike < LOOKS_ALIKE && Date.now() < deadline) {
    await page.waitForTimeout(LOOK_EVERY_MS);
    const now = JSON.stringify(await look(page, {})) + (await page.innerText('body'));
    alike = now === last ? alike + 1 : 0;
    last = now;
  }
}

function look(page, colours) {
  return page.evaluate(({ pane, colours, tolerance }) => {
    let lit = 0, coloured = 0;
    const counts = Object.fromEntries(Object.keys(colours).map(name => [name, 0]));
    for (const canvas of document.querySelectorAll(`${pane} canvas`)) {
      const copy = document.createElement('canvas');
      copy.width = canvas.width;
      copy.height = canvas.height;
      const context = copy.getContext('2d');
      context.drawImage(canvas, 0, 0);
      const { data } = context.getImageData(0, 0, copy.width, copy.height);
      for (let at = 0; at < data.length; at += 4) {
        const rgb = [data[at], data[at + 1], data[at + 2]];
        if (rgb[0] + rgb[1] + rgb[2] > 30) lit++;
        if (Math.max(...rgb) - Math.min(...rgb) > 40) coloured++;
        for (const [name, colour] of Object.entries(colours)) {
          if (colour.every((part, place) => Math.abs(part - rgb[place]) <= tolerance)) counts[name]++;
        }
      }
    }
    const contours = [...document.querySelectorAll(`${pane} svg polyline`)].map(line => [...line.points].map(({ x, y }) => [x, y]));
    return { lit, coloured, colours: counts, contours };
  }, { pane: PANE, colours, tolerance: TOLERANCE });
}

function flat(text) {
  return text.split(/\s*\n\s*/).filter(Boolean).join(' | ');
}
