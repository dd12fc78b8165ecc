// Checks the built-in page in a real browser.
//
//   node check.mjs CHROMIUM_PATH OUTPUT_DIR BASE_URL [CHECK…]
//
// Prints one line of JSON per check, and exits 1 if any of them failed. Screenshots and
// a PDF go to OUTPUT_DIR. Without names every check runs.
//
// What it expects from the server at BASE_URL (without a slash at the end):
//
// - A blocked request gets the page as from the gate: `Maint-Decision`,
//   `Content-Security-Policy`, `Date`, `Retry-After`, 503. HEAD is answered like GET,
//   without the body.
// - The path chooses the window:
//     /, /shop/…   ends in two hours, has a reason and a site
//     /soon        ends in ten minutes
//     /no-end      has no end
//     /always      is down without a window, so it has no start either
//     /read-only   GET passes, POST is blocked
//     /get-only    GET is blocked, HEAD passes
//     /long        has a reason of many lines, with `<script>` and a word of 4000 letters
//     /arabic      has an Arabic reason
//     /estimate    has no end, is expected to be over in 20 minutes, and has a link in its reason
//     /late        should have been over, and has a reason in English and one in German
//     /tomorrow    ends in 26 hours
// - The page is in the language that the browser asks for.
// - A request that passes gets a page with an element `#app`, and a policy, if any,
//   that allows its forms.
// - GET on `MAINT_TEST_CONTROL` + `/off` ends every window before it answers 200, `/on`
//   opens them again, `/later` moves the end of `/` by hours, and `/passed` lets the estimate of
//   `/estimate` pass.

import { mkdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [executablePath, output, base, ...names] = process.argv.slice(2);
const control = process.env.MAINT_TEST_CONTROL;
const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const turn = async (way) => expect((await fetch(`${control}/${way}`)).ok, `the switch does not turn ${way}`);
// Only a page that never does it takes this long, on a busy machine too.
const PATIENCE = 120_000;
// Whether each state is shown in each width and each colour scheme. `make test` shows each in one narrow
// and one wide look.
const isWhole = process.env.MAINT_PROOF !== 'short';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

/** Runs `body` with a page in a new context. */
async function withPage(options, body) {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  context.setDefaultTimeout(PATIENCE);
  try {
    return await body(await context.newPage());
  } finally {
    await context.close();
  }
}

/**
 * A page whose clock stands still, and `pass`, which lets seconds pass: one at a time, and
 * the next when everything that was asked in the last has been answered. So a busy machine
 * changes no count.
 */
async function stopped(page) {
  const open = new Set();
  page.on('request', (request) => open.add(request));
  page.on('requestfinished', (request) => open.delete(request));
  page.on('requestfailed', (request) => open.delete(request));
  const now = Date.now();
  // It can only be stopped at a time to come.
  await page.clock.install({ time: now - 600_000 });
  await page.clock.pauseAt(now);
  const rest = async () => {
    do {
      await sleep(20);
    } while (open.size > 0);
    await page.waitForLoadState('load', { timeout: PATIENCE });
  };
  return async (seconds, isDone = async () => false) => {
    let passed = 0;
    while (passed < seconds && !await isDone()) {
      await page.clock.runFor(1000);
      passed += 1;
      await rest();
    }
    return passed;
  };
}

/** Sends a form from the app, since the page itself may not. */
async function post(page, path) {
  await page.goto(`${base}/read-only`);
  await page.waitForSelector('#app');
  await Promise.all([
    page.waitForNavigation(),
    page.evaluate((action) => {
      const form = document.createElement('form');
      Object.assign(form, { method: 'post', action });
      form.innerHTML = '<input name="order" value="1">';
      document.body.append(form);
      form.submit();
    }, base + path),
  ]);
}

/** How far the page can be scrolled sideways. */
const overflow = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth - clientWidth;
});

/** What axe finds in a page that was opened with `bypassCSP`. */
async function violations(page) {
  await page.addScriptTag({ path: axePath });
  return page.evaluate(async () => {
    // Those that are off by default too.
    const rules = {};
    for (const { ruleId } of axe.getRules()) rules[ruleId] = { enabled: true };
    const result = await axe.run(document, { rules, resultTypes: ['violations'] });
    return result.violations.map(({ id, nodes }) => `${id} ${nodes[0].html.slice(0, 80)}`);
  });
}

const isPoll = (request) => request.method() === 'HEAD';
const nextPoll = (page) => page.waitForRequest(isPoll, { timeout: PATIENCE });
const utcText = /^\d{4}-\d\d-\d\d \d\d:\d\d UTC$/;

const checks = {
  /** No violation of any axe rule, and no sideways scrolling. */
  async axe() {
    const states = [
      ['open', '/'],
      ['soon', '/soon'],
      ['no-end', '/no-end'],
      ['always', '/always'],
      ['read-only', '/read-only', post],
      ['sent', '/', post],
      ['long', '/long'],
      ['arabic', '/arabic'],
      ['estimate', '/estimate'],
      ['late', '/late'],
    ];
    const all = [[320, 640], [768, 1024], [1440, 900]];
    const looks = isWhole ? { light: all, dark: all } : { light: [all[0]], dark: [all[2]] };
    const found = [];
    let runs = 0;
    await Promise.all(Object.entries(looks).map(async ([colorScheme, widths]) => {
      // axe must be injected, which the page's own policy would stop.
      const options = { bypassCSP: true, colorScheme, reducedMotion: 'reduce' };
      await withPage(options, async (page) => {
        for (const [state, path, open] of states) {
          for (const [width, height] of widths) {
            await page.setViewportSize({ width, height });
            await (open ? open(page, path) : page.goto(base + path));
            const name = `${state}-${colorScheme}-${width}`;
            const fullPage = state !== 'long';
            await page.screenshot({ path: join(output, `${name}.png`), fullPage });
            const sideways = await overflow(page);
            if (sideways > 0) found.push(`${name}: scrolls sideways by ${sideways}`);
            for (const violation of await violations(page)) found.push(`${name}: ${violation}`);
            runs += 1;
          }
        }
      });
    }));
    expect(found.length === 0, found.join('; '));
    return { runs, violations: 0 };
  },

  /** The page keeps to its policy, requests only itself, and logs no error. */
  async console() {
    const found = [];
    let polls = 0;
    await Promise.all(['/', '/soon?a=1', '/no-end', '/always', '/long'].map((path) => withPage({}, async (page) => {
      const url = base + path;
      page.on('pageerror', (error) => found.push(`${path}: ${error}`));
      page.on('console', (message) => {
        // The browser logs every 503, the page's own included.
        const own = /^Failed to load resource: .* 503 /.test(message.text()) && message.location().url === url;
        if (['error', 'warning'].includes(message.type()) && !own) found.push(`${path}: ${message.text()}`);
      });
      page.on('request', (request) => {
        if (request.url().startsWith('data:') || request.isNavigationRequest()) return;
        if (isPoll(request) && request.url() === url) polls += 1;
        else found.push(`${path}: ${request.method()} ${request.url()}`);
      });
      await page.addInitScript(() => {
        addEventListener('securitypolicyviolation', (event) => {
          console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
        });
      });
      const [answer] = await Promise.all([page.goto(url), nextPoll(page)]);
      const headers = answer.headers();
      expect(answer.status() === 503, `${path}: status ${answer.status()}`);
      expect('maint-decision' in headers, `${path}: no Maint-Decision`);
      expect(/default-src 'none'/.test(headers['content-security-policy']), `${path}: no policy`);
      const styled = await page.evaluate(() => getComputedStyle(document.querySelector('main')).display);
      expect(styled === 'grid', `${path}: the style was not applied`);
      expect(await page.locator('html.js').count() === 1, `${path}: the script did not run`);
      await sleep(1000);
    })));
    expect(found.length === 0, found.join('; '));
    return { polls };
  },

  /** The countdown shows each second, in the visitor's zone, whatever the visitor's clock says. */
  async countdown() {
    const figures = {};
    const seconds = (text) => text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
    for (const timezoneId of ['Asia/Tokyo', 'America/New_York']) {
      await withPage({ timezoneId }, async (page) => {
        await page.goto(`${base}/`);
        const end = await page.locator('#end').evaluate((time) => ({
          at: Date.parse(time.dateTime), text: time.textContent, utc: time.dataset.utc,
        }));
        const local = new Intl.DateTimeFormat('en-GB', { timeZone: timezoneId, hour: '2-digit', minute: '2-digit' });
        expect(end.text.includes(local.format(end.at)), `${timezoneId}: ${end.text}`);
        expect(utcText.test(end.utc) && !end.text.includes(end.utc.slice(11, 16)), `${timezoneId}: ${end.utc}`);
        figures[timezoneId] = end.text;
        const seen = await page.evaluate(() => new Promise((done) => {
          const texts = [];
          new MutationObserver(() => {
            texts.push([document.querySelector('#left').textContent, performance.now()]);
            if (texts.length === 4) done(texts);
          }).observe(document.querySelector('#left'), { childList: true });
        }));
        for (let i = 1; i < seen.length; i += 1) {
          const step = seconds(seen[i - 1][0]) - seconds(seen[i][0]);
          const passed = (seen[i][1] - seen[i - 1][1]) / 1000;
          expect(step >= 1 && Math.abs(step - passed) < 1, `${step} s in ${passed} s`);
        }
        const sign = (await page.locator('.sign').innerText()).split(/\n+/);
        expect(sign[0] === 'Back at', `${timezoneId}: ${sign}`);
        const day = new Intl.DateTimeFormat('en-GB', { timeZone: timezoneId, dateStyle: 'short' });
        // Near midnight the end is tomorrow, and the sign says so.
        const rest = day.format(end.at) === day.format(Date.now()) ? 1 : 2;
        expect(sign[rest] === local.format(end.at), `${timezoneId}: ${sign}`);
        figures.left = seen.at(-1)[0];
      });
    }
    await withPage({}, async (page) => {
      await page.clock.install({ time: Date.now() + 3 * 3600_000 });
      await page.goto(`${base}/`);
      const over = await page.locator('#left').textContent();
      expect(over === 'Any moment now', `after the end: ${over}`);
      await page.waitForFunction(() => document.querySelector('#left').textContent.includes(':'), null, { timeout: PATIENCE });
      const end = await page.locator('#end').evaluate((time) => Date.parse(time.dateTime));
      const before = Date.now();
      const left = seconds(await page.locator('#left').textContent());
      // Between the two looks at our own clock.
      const early = Math.round((end - before) / 1000 - left);
      const late = Math.round(left - (end - Date.now()) / 1000);
      figures.clockError = Math.max(early, late, 0);
      expect(early <= 2 && late <= 2 + (Date.now() - before) / 1000, `a wrong clock: ${early} or ${late} s off`);
    });
    return figures;
  },

  /** The visitor is back at the same URL within ten seconds, and where all but reading is down as well. */
  async return() {
    expect(control, '`MAINT_TEST_CONTROL` is not set');
    const back = (way) => withPage({}, async (page) => {
      const url = `${base}/shop/7?q=1#part`;
      const pass = await stopped(page);
      await page.goto(url);
      expect(await page.locator('#left').count() === 1, 'the page is not shown');
      await turn(way);
      try {
        const seconds = await pass(11, async () => await page.locator('#app').count() === 1);
        expect(page.url() === url, `came back to ${page.url()}`);
        expect(seconds <= 10, `took ${seconds} s`);
        return seconds;
      } finally {
        await turn('off');
        await turn('on');
      }
    });
    const seconds = await back('off');
    // The answers of the app are marked then, and not as the page is.
    return { seconds, writes: await back('writes') };
  },

  /** An end that is not today has its date on the sign, in the visitor's zone. */
  async tomorrow() {
    const figures = {};
    for (const timezoneId of ['Asia/Tokyo', 'America/New_York']) {
      await withPage({ timezoneId }, async (page) => {
        await page.goto(`${base}/tomorrow`);
        const end = await page.locator('#end').evaluate((time) => Date.parse(time.dateTime));
        const day = new Intl.DateTimeFormat('en-GB', { timeZone: timezoneId, day: 'numeric', month: 'short' });
        const sign = (await page.locator('.sign').innerText()).split(/\n+/);
        expect(sign[1].includes(day.format(end)), `${timezoneId}: ${sign}`);
        figures[timezoneId] = sign[1];
      });
    }
    return figures;
  },

  /** The page is in the visitor's language and direction, looks right, and its link leads out. */
  async languages() {
    const wanted = {
      'de-AT': ['de', 'ltr', 'Wartungsarbeiten', 'Voraussichtlich wieder da', /^in \d+ Minuten$/],
      ja: ['ja', 'ltr', 'メンテナンス中です', '再開見込み', /^\d+ 分後$/],
      ar: ['ar', 'rtl', 'الموقع قيد الصيانة', 'العودة المتوقعة', null],
      'he-IL': ['he', 'rtl', 'האתר בתחזוקה', 'צפי לחזרה', null],
    };
    const all = [[320, 640], [1280, 640]];
    const looks = isWhole ? { light: all, dark: all } : { light: [all[0]], dark: [all[1]] };
    const found = [];
    let runs = 0;
    await Promise.all(Object.entries(wanted).map(async ([locale, [lang, dir, title, label, left]]) => {
      for (const [colorScheme, widths] of Object.entries(looks)) {
        await withPage({ locale, colorScheme, bypassCSP: true, reducedMotion: 'reduce' }, async (page) => {
          for (const [width, height] of widths) {
            await page.setViewportSize({ width, height });
            for (const path of ['/estimate', '/late']) {
              const name = `${path.slice(1)}-${lang}-${colorScheme}-${width}`;
              const answer = await page.goto(base + path);
              expect(answer.headers()['content-language'] === lang, `${name}: ${answer.headers()['content-language']}`);
              const root = await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir].join());
              expect(root === `${lang},${dir}`, `${name}: ${root}`);
              expect(await page.locator('h1').textContent() === title, `${name}: the title`);
              await page.screenshot({ path: join(output, `${name}.png`), fullPage: width === 320 });
              const sideways = await overflow(page);
              if (sideways > 0) found.push(`${name}: scrolls sideways by ${sideways}`);
              for (const violation of await violations(page)) found.push(`${name}: ${violation}`);
              runs += 1;
              if (path === '/late') {
                const reason = await page.locator('.reason').evaluate((it) => [it.textContent, it.lang].join());
                expect(reason === (lang === 'de' ? 'Danke!,de' : 'Thank you!,'), `${name}: ${reason}`);
              } else {
                const sign = (await page.locator('.sign').innerText()).split(/\n+/);
                expect(sign[0] === label, `${name}: ${sign}`);
                expect(!left || left.test(sign.at(-1)), `${name}: ${sign}`);
              }
            }
          }
        });
      }
    }));
    expect(found.length === 0, found.join('; '));
    await withPage({ locale: 'tlh' }, async (page) => {
      await page.goto(`${base}/estimate`);
      expect(await page.locator('html').getAttribute('lang') === 'en', 'nobody speaks it, and it is not English');
      const link = page.locator('.reason a');
      const [href, rel, text] = await link.evaluate((it) => [it.href, it.rel, it.textContent]);
      expect(href === 'https://status.example.com/shop' && text === href, `${href} ${text}`);
      expect(rel === 'noopener noreferrer', rel);
      // The policy lets visitors follow it.
      await page.route('https://status.example.com/**', (route) => route.fulfill({ body: 'how it goes' }));
      await link.click();
      await page.waitForURL(href, { timeout: PATIENCE });
    });
    return { runs, violations: 0 };
  },

  /** An estimate that passes is told kindly, by the page alone and by the server, without a loop. */
  async estimate() {
    expect(control, '`MAINT_TEST_CONTROL` is not set');
    return withPage({}, async (page) => {
      await turn('on');
      let loads = 0;
      page.on('request', (request) => { loads += request.isNavigationRequest() ? 1 : 0; });
      // A server that serves a finished page has nothing new to say.
      await page.route('**/estimate', (route) => (
        route.request().isNavigationRequest() ? route.continue() : route.fulfill({
          status: 503,
          headers: { 'Retry-After': '120', 'Maint-Decision': 'block' },
        })
      ));
      const pass = await stopped(page);
      await page.goto(`${base}/estimate`);
      const sign = async () => (await page.locator('.sign').innerText()).split(/\n+/);
      const before = await sign();
      expect(before[0] === 'Expected back' && /^in (20|19) minutes$/.test(before.at(-1)), `before: ${before}`);
      expect(!await page.locator('#late').isVisible(), 'late from the start');
      await page.clock.fastForward(21 * 60_000);
      await pass(2);
      expect(await page.locator('#late').isVisible(), 'the page alone does not say so');
      expect((await sign()).join() === 'Back soon', `after: ${await sign()}`);
      await pass(30);
      expect(loads === 1, `${loads} loads`);
      await page.unroute('**/estimate');
      await turn('passed');
      try {
        // It meets the real server again, which may make it load the page once.
        await page.goto(`${base}/estimate`);
        loads = 0;
        expect(await page.locator('#late').isVisible(), 'the server does not say so');
        expect((await sign()).join() === 'Back soon', `by the server: ${await sign()}`);
        expect(await page.locator('#end').count() === 0, 'there still is an end');
        await pass(30);
        expect(loads <= 1, `${loads} loads of a page that is late`);
      } finally {
        await turn('on');
      }
      return { before: before.at(-1), loads };
    });
  },

  /** A page whose window is changed shows the new end. */
  async changed() {
    return withPage({}, async (page) => {
      await page.goto(`${base}/`);
      const shown = () => page.locator('#end').evaluate((time) => Date.parse(time.dateTime));
      const before = await shown();
      await turn('later');
      try {
        await page.waitForFunction((old) => Date.parse(document.querySelector('#end').dateTime) > old + 3600_000, before, { timeout: PATIENCE });
        return { hours: Math.round((await shown() - before) / 3600_000) };
      } finally {
        await turn('on');
      }
    });
  },

  /** Neither a poll that passes where the page is blocked nor one of a flag causes a reload loop. */
  async loop() {
    const watch = async (page, seconds, path = '/get-only') => {
      const asked = [];
      let loads = 0;
      page.on('request', (request) => {
        if (request.isNavigationRequest()) loads += 1;
        else if (!request.url().startsWith('data:')) asked.push(request.method());
      });
      const pass = await stopped(page);
      await page.goto(base + path);
      await pass(seconds);
      return { loads, asked };
    };
    const figures = {};
    await Promise.all([
      // HEAD passes: one reload, and from then on the page polls with GET.
      withPage({}, async (page) => {
        const { loads, asked } = await watch(page, 30);
        expect(loads === 2, `HEAD passes: ${loads} loads, ${asked}`);
        expect(asked[0] === 'HEAD' && asked[1] === 'GET' && !asked.includes('HEAD', 1), `asked by ${asked}`);
        figures.head = { loads, asked: asked.length };
      }),
      // Every poll passes: without slowing down there would be five loads or more.
      withPage({}, async (page) => {
        await page.route('**/get-only', (route) => (
          route.request().isNavigationRequest() ? route.continue() : route.fulfill({ status: 200 })
        ));
        const { loads } = await watch(page, 30);
        expect(loads >= 3 && loads <= 4, `all pass: ${loads} loads`);
        figures.all = { loads };
      }),
      // A server that obeys a flag sends the same seconds all the time, whatever the end is.
      withPage({}, async (page) => {
        await page.route('**/soon', (route) => (
          route.request().isNavigationRequest() ? route.continue() : route.fulfill({
            status: 503,
            headers: { 'Retry-After': '120', 'Maint-Decision': 'block', Date: new Date().toUTCString() },
          })
        ));
        const { loads, asked } = await watch(page, 30, '/soon');
        expect(asked.length >= 3 && loads === 1, `the same seconds: ${loads} loads, ${asked}`);
        figures.same = { loads, asked: asked.length };
      }),
    ]);
    return figures;
  },

  /** Without JavaScript the page says everything, and its link leads to the same URL. */
  async noscript() {
    return withPage({ javaScriptEnabled: false }, async (page) => {
      const url = `${base}/shop/7?q=1`;
      await page.goto(url);
      for (const place of ['.reason', '#end', '#again', '#label', '#when']) {
        expect(await page.locator(place).isVisible(), `${place} is not visible`);
      }
      for (const place of await page.locator('.with-js').all()) {
        expect(!await place.isVisible(), 'promises what needs a script');
      }
      const until = await page.locator('#end').textContent();
      expect(utcText.test(until), until);
      expect(!/http-equiv=["']?refresh/i.test(await page.content()), 'has a meta refresh');
      await page.screenshot({ path: join(output, 'noscript.png') });
      const [request] = await Promise.all([
        page.waitForRequest((request) => request.isNavigationRequest()),
        page.waitForNavigation(),
        page.locator('#again').click(),
      ]);
      expect(request.method() === 'GET' && page.url() === url, `went to ${page.url()}`);
      return { until };
    });
  },

  /** The page of a blocked form says so, sends nothing again, and leads back. */
  async post() {
    await Promise.all(['/read-only', '/', '/no-end'].map((path) => withPage({}, async (page) => {
      await post(page, path);
      const text = await page.locator('main').innerText();
      expect(/has not been processed/.test(text), `${path}: ${text}`);
      expect(!/by itself/.test(text), `${path}: promises to come back`);
      const seen = [];
      page.on('request', (request) => seen.push(`${request.method()} ${request.url()}`));
      await sleep(10_000);
      expect(seen.length === 0, `${path}: ${seen.join(', ')}`);
      await page.locator('#return').click();
      await page.waitForSelector('#app');
      expect(seen.every((request) => request.startsWith('GET ')), `${path}: ${seen.join(', ')}`);
    })));
    return { seconds: 10 };
  },

  /** Right to left, without motion, in the system's colours, and on paper. */
  async rtl() {
    const options = { locale: 'ar', reducedMotion: 'reduce', timezoneId: 'Asia/Tokyo' };
    return withPage(options, async (page) => {
      for (const width of [320, 1440]) {
        await page.setViewportSize({ width, height: 800 });
        await page.goto(`${base}/arabic`);
        expect(await page.evaluate(() => document.getAnimations().length) === 0, 'something moves');
        expect(await page.evaluate(() => document.documentElement.dir) === 'rtl', 'not right to left');
        expect(await overflow(page) <= 0, `scrolls sideways at ${width}`);
        await page.screenshot({ path: join(output, `rtl-${width}.png`) });
      }
      await page.goto(`${base}/arabic`);
      await page.emulateMedia({ forcedColors: 'active' });
      await page.screenshot({ path: join(output, 'forced-colors.png') });
      await page.emulateMedia({ forcedColors: 'none', colorScheme: 'dark', media: 'print' });
      expect(!await page.locator('#again').isVisible(), 'prints the link');
      const paper = await page.evaluate(() => ({
        colours: [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color].join(),
        utc: getComputedStyle(document.querySelector('#end'), '::after').content,
      }));
      expect(paper.colours === 'rgb(255, 255, 255),rgb(0, 0, 0)', paper.colours);
      expect(/ UTC\)/.test(paper.utc), `prints ${paper.utc}`);
      await page.screenshot({ path: join(output, 'print.png') });
      const pdf = await page.pdf({ path: join(output, 'print.pdf'), format: 'A4' });
      return { pdf: pdf.length };
    });
  },

  /** A hidden page asks once a minute, and at once when it is seen again. */
  async hidden() {
    return withPage({}, async (page) => {
      let polls = 0;
      page.on('request', (request) => { polls += isPoll(request) ? 1 : 0; });
      const show = (state) => page.evaluate((visibilityState) => {
        Object.defineProperty(document, 'visibilityState', { value: visibilityState, configurable: true });
        Object.defineProperty(document, 'hidden', { value: visibilityState === 'hidden', configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, state);
      const pass = await stopped(page);
      await page.goto(`${base}/`);
      await show('hidden');
      await pass(20);
      const hidden = polls;
      expect(hidden <= 1, `${hidden} polls in 20 s`);
      // No time passes, so this is no poll that was due.
      await Promise.all([nextPoll(page), show('visible')]);
      return { hidden };
    });
  },
};

/** The picture for the README: light on the left, dark on the right. Made only on request. */
async function picture() {
  const size = { width: 1280, height: 600 };
  const looks = {};
  for (const colorScheme of ['light', 'dark']) {
    const options = { colorScheme, viewport: size, reducedMotion: 'reduce', timezoneId: 'Europe/Berlin' };
    looks[colorScheme] = await withPage(options, async (page) => {
      await page.goto(`${base}/`);
      return `data:image/png;base64,${(await page.screenshot()).toString('base64')}`;
    });
  }
  const path = join(output, 'page.png');
  await withPage({ viewport: size }, async (page) => {
    await page.setContent(`
      <body style="margin: 0"><img src="${looks.light}">
      <img src="${looks.dark}" style="position: absolute; inset: 0; clip-path: polygon(66% 0, 100% 0, 100% 100%, 56% 100%)">`);
    await page.screenshot({ path });
  });
  return { bytes: (await stat(path)).size };
}

for (const name of names) {
  if (name !== 'picture' && !(name in checks)) {
    console.error(`there is no check \`${name}\`; there are ${Object.keys(checks).join(', ')}`);
    process.exit(2);
  }
}
await mkdir(output, { recursive: true });
const browser = await chromium.launch({
  executablePath,
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

async function run(name) {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 1000);
  try {
    const figures = await (name === 'picture' ? picture() : checks[name]());
    console.log(JSON.stringify({ check: name, ok: true, figures, seconds: seconds() }));
  } catch (error) {
    console.log(JSON.stringify({ check: name, ok: false, error: error.message, seconds: seconds() }));
    process.exitCode = 1;
  }
}

// Most of the time is spent waiting, so they run at once, except those that turn the switch,
// and the heaviest.
const wanted = names.length ? names : Object.keys(checks);
const alone = ['languages', 'return', 'changed', 'estimate', 'picture'];
await Promise.all(wanted.filter((name) => !alone.includes(name)).map(run));
for (const name of alone) {
  if (wanted.includes(name)) await run(name);
}
await browser.close();
