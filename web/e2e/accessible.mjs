import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * What keeps people out: what axe-core finds serious or critical, and besides controls without a name, ids used twice or
 * pointing nowhere, pages without one heading, text too faint (WCAG 2.2 AA: 4.5, large text 3). Names are those the browser
 * itself gives to screen readers.
 */
const kAxe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** The rest is a matter of taste, or of the page as a whole. */
const kGrave = new Set(['serious', 'critical']);
const kNamed = new Set(['button', 'link', 'textbox', 'searchbox', 'combobox', 'checkbox', 'radio', 'switch', 'spinbutton', 'tab', 'menuitem', 'dialog', 'region']);

/** Runs in the page. */
function faults_of_document() {
  const faults = [];
  const seen = new Set();
  for (const { id } of document.querySelectorAll('[id]')) {
    if (seen.has(id)) faults.push(`id ${id} is used twice`);
    seen.add(id);
  }
  for (const attribute of ['aria-describedby', 'aria-labelledby', 'aria-controls', 'for']) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(/\s+/)) {
        if (!document.getElementById(id)) faults.push(`${attribute} of ${element.outerHTML.slice(0, 80)} names no element`);
      }
    }
  }
  const headings = [...document.querySelectorAll('h1')].filter((h1) => h1.checkVisibility());
  if (headings.length !== 1) faults.push(`${headings.length} headings of level 1`);

  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
  /** The colours, first at the bottom, as the eye gets them. */
  const painted = (colours) => {
    canvas.fillStyle = '#fff';
    canvas.fillRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim();
    const element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest('.sr-only, :disabled, option, [aria-hidden="true"], [data-disabled]') || element.closest('label')?.querySelector(':disabled')) continue;
    const style = getComputedStyle(element);
    const grounds = [];
    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const light = [luminance(painted(grounds)), luminance(painted([...grounds, style.color]))].sort((a, b) => b - a);
    const ratio = (light[0] + 0.05) / (light[1] + 0.05);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < least - 0.01) faults.push(`“${text.slice(0, 40)}” has a contrast of ${ratio.toFixed(2)}`);
  }
  return faults;
}

/** Runs in the page, where axe is. */
async function axe_violations() {
  const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
  return violations.map(({ id, impact, nodes }) => ({ id, impact, at: nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary ?? ''}`) }));
}

/** What is wrong with the page as it stands; empty: nothing found. */
export async function faults_of(page) {
  // What is still fading in has not its colours yet.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations !== Infinity).map(({ finished }) => finished.catch(() => undefined))),
  );
  const faults = await page.evaluate(faults_of_document);
  // As an expression of the debugger: the pages let in no scripts but their own.
  await page.evaluate(`if (!globalThis.axe) { ${kAxe} }`);
  for (const { id, impact, at } of await page.evaluate(axe_violations)) {
    if (kGrave.has(impact)) faults.push(`axe: ${id} (${impact}) at ${at.join(' | ')}`);
  }
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = await devtools.send('Accessibility.getFullAXTree');
  await devtools.detach();
  for (const node of nodes) {
    if (!node.ignored && kNamed.has(node.role?.value) && !node.name?.value?.trim()) faults.push(`a ${node.role.value} without a name (node ${node.backendDOMNodeId})`);
  }
  return faults;
}
