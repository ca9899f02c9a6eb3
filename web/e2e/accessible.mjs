import { axe_faults_of } from './axe.mjs';

/**
 * What keeps people out: what axe-core finds serious or critical, and besides controls without a name, ids used twice or
 * pointing nowhere, pages without one heading, text too faint (WCAG 2.2 AA: 4.5, large text 3). Names are those the browser
 * itself gives to screen readers.
 */
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

/** What is wrong with the page as it stands; empty: nothing found. */
export async function faults_of(page) {
  const faults = await page.evaluate(faults_of_document);
  faults.push(...(await axe_faults_of(page)));
  const devtools = await page.context().newCDPSession(page);
  const { nodes } = await devtools.send('Accessibility.getFullAXTree');
  await devtools.detach();
  for (const node of nodes) {
    if (!node.ignored && kNamed.has(node.role?.value) && !node.name?.value?.trim()) faults.push(`a ${node.role.value} without a name (node ${node.backendDOMNodeId})`);
  }
  return faults;
}
