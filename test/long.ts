/** Whether everything is tested, as `npm run test:long` does, and not only what fits into a few minutes. */
export const long = process.env.SHOOTDOWN_LONG !== undefined
