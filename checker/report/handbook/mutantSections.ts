/** What the page of a protocol says of its mutants: see `mutation/`. */
import * as Arr from "effect/Array"
import { countMutants, countsText, type MutantReport } from "../mutation.ts"
import { count, figure } from "../text.ts"
import { code, table, text } from "./markdown.ts"
import type { HandbookSubject, ProtocolSubject } from "./subject.ts"

type MutationRun = NonNullable<HandbookSubject["mutation"]>

/** What became of a protocol's mutants, where a run of `mutants` says so. */
export const mutantLines = ({ mutated }: ProtocolSubject, run: HandbookSubject["mutation"]): ReadonlyArray<string> => {
  if (mutated === undefined || run === undefined) return []
  const { counts, mutants } = mutated
  const operators = Object.entries(run.operators).flatMap(([name, sentence]) => {
    const made = mutants.filter(({ operator }) => operator === name)
    return made.length === 0 ? [] : [{ name, sentence, counts: countMutants(made) }]
  })
  return [
    "## Its steps, changed one at a time",
    "",
    [
      `Figures of a run of ${code("mutants")}, ${text(run.tool.name)} ${text(run.tool.version)}, with at most ${count(run.budget.exploration, "state")} for one exploration${secondAttemptText(run)}:`,
      `${countsText(counts)}.`,
      ...(run.interrupted === true ? ["**The run was interrupted: there may be more.**"] : []),
    ].join(" "),
    "",
    ...table(
      [
        { title: "what is changed" },
        { title: "mutants", align: "right" },
        { title: "killed", align: "right" },
        { title: "equivalent", align: "right" },
        { title: "no program", align: "right" },
        { title: "alive", align: "right" },
      ],
      operators.map(({ name, sentence, counts: of }) => [
        `${code(name)}: ${text(sentence)}`,
        ...[of.mutants, of.killed, of.equivalent, of.invalid, of.survived + of.inconclusive].map(figure),
      ]),
    ),
    ...groupLines("What killed them:", "property", mutants, "killed", ({ property = "" }) => code(property)),
    ...groupLines(
      "Those that do what the protocol does, and how that is known:",
      "reason",
      mutants,
      "equivalent",
      ({ reason = "" }) => text(reason),
    ),
  ]
}

const secondAttemptText = ({ budget: { exploration, secondAttempt } }: MutationRun): string =>
  secondAttempt === undefined
    ? ""
    : `, and ${count(exploration * secondAttempt, "state")} where that left open what becomes of a mutant`

/** The mutants of a verdict, by what decided them, the most frequent first. */
const groupLines = (
  sentence: string,
  title: string,
  mutants: ReadonlyArray<MutantReport>,
  verdict: MutantReport["verdict"],
  decidedBy: (mutant: MutantReport) => string,
): ReadonlyArray<string> => {
  const groups = Object.entries(
    Arr.groupBy(
      mutants.filter((mutant) => mutant.verdict === verdict),
      decidedBy,
    ),
  )
  if (groups.length === 0) return []
  const rows = groups.sort(([, a], [, b]) => b.length - a.length)
  return [
    sentence,
    "",
    ...table(
      [{ title }, { title: "number", align: "right" }, { title: "mutants" }],
      rows.map(([by, those]) => [by, figure(those.length), those.map(({ id }) => code(id)).join("<br>")]),
    ),
  ]
}

/** The mutants that the spec explains. */
export const survivorLines = ({ protocol: { survivors = {} }, mutated }: ProtocolSubject): ReadonlyArray<string> => {
  const verdicts = new Map(mutated?.mutants.map(({ id, verdict }) => [id, verdict]))
  const rows = Object.values(Arr.groupBy(Object.entries(survivors), ([id, why]) => `${verdicts.get(id)} ${why}`))
  if (rows.length === 0) return []
  return [
    "## Mutants that may survive",
    "",
    "`npm run check -- mutants` changes each step in turn. No property is broken by these changes in any state that it visits, though for some of them (*inconclusive*) its budget ends before it has visited all; the protocol's spec says why that is right, and the command fails where that is not so any more.",
    "",
    ...table(
      [{ title: "mutants" }, ...(mutated === undefined ? [] : [{ title: "came to" }]), { title: "why that is right" }],
      rows.map((same) => {
        const [[id, why]] = same
        const verdict = mutated === undefined ? [] : [verdicts.get(id) ?? "not in this run"]
        return [same.map(([each]) => code(each)).join("<br>"), ...verdict, text(why)]
      }),
    ),
  ]
}
