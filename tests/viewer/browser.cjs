// A browser as the viewers' drivers need it: WebGL in software, nothing of its own on the network, and what it shows as numbers.
'use strict';

const SOFTWARE_WEBGL = ['--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];
const QUIET = ['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic'];
const SETTLED_MS = 45_000;
const LOOK_EVERY_MS = 700;
const LOOKS_ALIKE = 3;
const TOLERANCE = 12;  // of 255, in each part of a colour

// Reads what is asked for from standard input, hands it to `read` with a browser, and says what that returns.
async function answer(read) {
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

function listen(page) {
  const faults = [];
  page.on('pageerror', error => faults.push(`page: ${error.message}`));
  page.on('console', message => { if (message.type() === 'error') faults.push(`console: ${message.text().slice(0, 400)}`); });
  page.on('response', answer => { if (answer.status() >= 400) faults.push(`HTTP ${answer.status()}: ${answer.url()}`); });
  return faults;
}

// Until the page is the same in several looks.
async function settle(page, pane) {
  const deadline = Date.now() + SETTLED_MS;
  let last = '', alike = 0;
  while (alike < LOOKS_ALIKE && Date.now() < deadline) {
    await page.waitForTimeout(LOOK_EVERY_MS);
    const now = JSON.stringify(await look(page, pane, {})) + (await page.innerText('body'));
    alike = now === last ? alike + 1 : 0;
    last = now;
  }
}

// What the images below the selector `pane` show. `tint`: mean red, green and blue of what is not grey.
function look(page, pane, colours) {
  return page.evaluate(({ pane, colours, tolerance }) => {
    let lit = 0, coloured = 0;
    const tint = [0, 0, 0];
    const counts = Object.fromEntries(Object.keys(colours).map(name => [name, 0]));
    for (const canvas of document.querySelectorAll(`${pane} canvas`)) {
      if (!canvas.width || !canvas.height) continue;
      const copy = document.createElement('canvas');
      copy.width = canvas.width;
      copy.height = canvas.height;
      const context = copy.getContext('2d');
      context.drawImage(canvas, 0, 0);
      const { data } = context.getImageData(0, 0, copy.width, copy.height);
      for (let at = 0; at < data.length; at += 4) {
        const rgb = [data[at], data[at + 1], data[at + 2]];
        if (rgb[0] + rgb[1] + rgb[2] > 30) lit++;
        if (Math.max(...rgb) - Math.min(...rgb) > 40) {
          coloured++;
          rgb.forEach((part, place) => { tint[place] += part; });
        }
        for (const [name, colour] of Object.entries(colours)) {
          if (colour.every((part, place) => Math.abs(part - rgb[place]) <= tolerance)) counts[name]++;
        }
      }
    }
    const contours = [...document.querySelectorAll(`${pane} svg polyline`)].map(line => [...line.points].map(({ x, y }) => [x, y]));
    return { lit, coloured, tint: tint.map(sum => (coloured ? sum / coloured : 0)), colours: counts, contours };
  }, { pane, colours, tolerance: TOLERANCE });
}

function flat(text) {
  return text.split(/\s*\n\s*/).filter(Boolean).join(' | ');
}

module.exports = { LOOK_EVERY_MS, SETTLED_MS, answer, flat, listen, look, settle };
