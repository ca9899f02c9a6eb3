import { FirstSteps } from '../start/first-steps';

/** Before the first request: how to make it. The page notices by itself when it came. */
export function FirstRequest() {
  return <FirstSteps greeting />;
}
