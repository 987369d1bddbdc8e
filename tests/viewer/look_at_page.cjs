// Opens a page and says what its images show: no judgement here, that is the test's.
//
// In, as JSON on standard input:
//   playwright  folder of the package playwright-core
//   browser     path of Chromium
//   address     of the page
//   colours     to count, by name: [red, green, blue]
//   picture     path of the screenshot to make
// Out, as JSON on standard output: text, lit, coloured, tint, colours and faults, as read_study.cjs says them
'use strict';

const { answer, flat, listen, look, settle } = require('./browser.cjs');

const FIRST_IMAGE_MS = 60_000;

answer(read).catch(error => { console.error(error); process.exit(1); });

async function read(browser, ask) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 860 } });
  const faults = listen(page);
  await page.goto(ask.address, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('canvas', { timeout: FIRST_IMAGE_MS });
  await settle(page, 'body');
  await page.screenshot({ path: ask.picture });
  return { ...(await look(page, 'body', ask.colours)), text: flat(await page.innerText('body')), faults: [...new Set(faults)] };
}
