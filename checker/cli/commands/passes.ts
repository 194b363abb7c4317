/** What `--help` says of passes and of exit statuses. */
import { strategies } from "../../explore/strategies.ts"
import type { Strategy } from "../../explore/strategy.ts"
import { indent, wrap } from "../../report/text.ts"

/** What each exit status means. */
export const exitStatuses = `
  Exit status
    0    all is as expected
    1    a property broke, a seeded bug was missed, a counterexample no longer behaves as recorded, or the scenarios of
         a protocol leave out a property or a step
    2    the command line or a file it names will not do
    3    a budget ended before the search did, and nothing was found
    130  interrupted; what was reached is said
    70   a bug in Shootdown`

/** Columns of the help text, and where what is said of a strategy begins. */
const helpWidth = 120
const hanging = 13

const strategyHelp = ({ name, summary }: Strategy): string => {
  const lines = indent(wrap(summary, helpWidth - hanging), hanging).join("\n")
  return `    ${name.padEnd(hanging - 4)}${lines.slice(hanging)}`
}

/** What a pass of each strategy means. */
export const passes = `
  Strategies, and what a pass means
${strategies.map(strategyHelp).join("\n")}

  A pass says nothing of what was left out: properties whose premise was never true and steps that were never taken
  are named. Without a subcommand it is a failure if all scenarios of a protocol together leave one out`
