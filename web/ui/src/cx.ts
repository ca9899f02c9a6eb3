/**
 * Joins class names. What a component looks like by itself is a class of the layer `components` (styles.css), over which any
 * utility wins; so nobody has to know here which names set the same property.
 */
export function cx(...classes: readonly (string | false | null | undefined | 0 | '')[]): string {
  return classes.filter(Boolean).join(' ');
}
