// What the scripts in JavaScript share: they report each check in a line.
export const URL_ = process.env.GATEWAY_URL;
export const V1 = `${URL_}/v1`;
export const MODEL = process.env.MODEL;
export const QUESTION = "What is the capital of France?";
export const WEATHER = "What is the weather in Oslo?";

export async function report(checks) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    const began = Date.now();
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(error);
      const text = String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 500);
      console.log(`FAILED ${name}: ${error?.name}: ${text}`);
    }
    console.log(`   ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  process.exit(failed ? 1 : 0);
}

export async function raises(kind, call, ...words) {
  let caught;
  try {
    await call();
  } catch (error) {
    caught = error;
  }
  if (!(caught instanceof kind)) throw new Error(`${kind.name} was not raised, but ${caught}`);
  for (const word of words) {
    if (!String(caught.message).includes(word)) throw new Error(`${word} not in ${caught.message}`);
  }
  return caught;
}
