// Looks at the demo as somebody who tries it: opens the page once and leaves it open.
//
//   node first.mjs CHROMIUM_PATH OUTPUT_DIR URL
//
// Prints a line for each page that it sees: `up`, `down STATUS`, `up`.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [executablePath, output, url] = process.argv.slice(2);
const timeout = 120_000;
await mkdir(output, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage({ locale: 'en-GB' });
  const statuses = [];
  page.on('response', (answer) => {
    if (answer.request().isNavigationRequest()) statuses.push(answer.status());
  });
  const mistakes = [];
  page.on('pageerror', (error) => mistakes.push(String(error)));
  page.on('console', (message) => {
    // The browser itself writes a line for each 503.
    if (message.type() === 'error' && !message.text().includes('503')) mistakes.push(message.text());
  });
  const see = async (title, what) => {
    await page.getByRole('heading', { name: title }).waitFor({ timeout });
    await page.screenshot({ path: join(output, `${what}.png`) });
  };
  await page.goto(url);
  await see('This is your app', 'up');
  console.log('up');
  await see('Down for maintenance', 'down');
  await page.getByText('Back at noon').waitFor({ timeout });
  console.log(`down ${statuses.at(-1)}`);
  await see('This is your app', 'back');
  console.log(`up ${JSON.stringify(mistakes)}`);
} finally {
  await browser.close();
}
