/** The pages of a handbook as a static site: HTML without scripts, and one stylesheet. */
import { Marked, type Tokens } from "marked"
import { anchor } from "./markdown.ts"
import type { Page } from "./subject.ts"

/** The name of the stylesheet beside the pages. */
export const stylesheetName = "style.css"

/** A page as a whole HTML document. Links to other pages of the handbook lead to their HTML. */
export const htmlPage = ({ name, title, markdown }: Page): string => {
  const { content, headings } = rendered(markdown)
  const sections = headings.filter(({ depth }) => depth === 2)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(name === "index" ? title : `${title} - The protocol handbook`)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${stylesheetName}">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header><a href="index.html"${name === "index" ? ' aria-current="page"' : ""}>The protocol handbook</a></header>
${sections.length < 2 ? "" : contents(sections)}<main id="main">
${content}</main>
</body>
</html>
`
}

/** Cells with more letters than this are not made narrow. */
const longCell = 60

interface Heading {
  readonly id: string
  readonly depth: number
  /** HTML */
  readonly text: string
  readonly plain: string
}

const contents = (sections: ReadonlyArray<Heading>): string => {
  const items = sections.map(({ id, text }) => `<li><a href="#${escaped(id)}">${text}</a></li>`).join("\n")
  return `<nav aria-label="On this page">\n<ul>\n${items}\n</ul>\n</nav>\n`
}

const rendered = (markdown: string): { readonly content: string; readonly headings: ReadonlyArray<Heading> } => {
  const headings: Array<Heading> = []
  const ids = new Map<string, number>()
  /** A second heading of the same text gets a number, as on GitHub. */
  const idOf = (text: string): string => {
    const id = anchor(text)
    const before = ids.get(id)
    ids.set(id, (before ?? -1) + 1)
    return before === undefined ? id : `${id}-${before + 1}`
  }
  const marked = new Marked({
    // What looks like an address in a spec is no link.
    tokenizer: { url: () => undefined },
    renderer: {
      heading({ tokens, depth }) {
        const text = this.parser.parseInline(tokens)
        const plain = plainText(tokens)
        const id = idOf(plain)
        headings.push({ id, depth, text, plain })
        return `<h${depth} id="${escaped(id)}">${text}</h${depth}>\n`
      },
      table(token) {
        const head = token.header.map((cell) => this.tablecell(cell)).join("")
        const body = token.rows.map((row) => `<tr>${row.map((cell) => this.tablecell(cell)).join("")}</tr>`).join("\n")
        const label = headings.at(-1)?.plain ?? "Table"
        return scrolling(label, `<table>\n<thead><tr>${head}</tr></thead>\n<tbody>\n${body}\n</tbody>\n</table>`)
      },
      tablecell({ tokens, header, align }) {
        const kind = header ? 'th scope="col"' : "td"
        const isLong = plainText(tokens).length > longCell
        const aligned = align === "right" ? ' class="figure"' : isLong ? ' class="long"' : ""
        return `<${kind}${aligned}>${this.parser.parseInline(tokens)}</${header ? "th" : "td"}>`
      },
      code({ text, lang }) {
        const label = lang === undefined || lang === "text" ? "Output" : "Program"
        return scrolling(label, `<pre><code>${escaped(text)}\n</code></pre>`)
      },
      link({ href, tokens }) {
        const target = /^[A-Za-z0-9._-]+\.md(#|$)/.test(href) ? href.replace(/\.md(?=#|$)/, ".html") : href
        return `<a href="${escaped(target)}">${this.parser.parseInline(tokens)}</a>`
      },
      // The only HTML that pages have is the break between lines of a cell; whatever else looks like it is text.
      html: ({ text }) => (text === "<br>" ? "<br>" : escaped(text)),
    },
  })
  return { content: marked.parse(markdown, { async: false }), headings }
}

/** What is wider than the page scrolls by itself, with the keyboard too. */
const scrolling = (label: string, content: string): string =>
  `<div class="scrolling" role="region" tabindex="0" aria-label="${escaped(label)}">\n${content}\n</div>\n`

const plainText = (tokens: ReadonlyArray<Tokens.Generic>): string =>
  tokens.map((token) => (token.tokens === undefined ? String(token.text ?? "") : plainText(token.tokens))).join("")

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;")

/** Follows the colours that the reader's system prefers. */
export const stylesheet = `:root {
  color-scheme: light dark;
  --ink: #1b1f24;
  --faint: #57606a;
  --paper: #ffffff;
  --shade: #f3f5f7;
  --line: #d0d7de;
  --link: #0550ae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e2e8ee;
    --faint: #9aa5b1;
    --paper: #12161b;
    --shade: #1c2229;
    --line: #363e48;
    --link: #79b8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto;
  max-width: 72rem;
  padding: 0 1rem 4rem;
  background: var(--paper);
  color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif;
  overflow-wrap: break-word;
}
header { padding: 1rem 0; border-bottom: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; padding: 0.5rem 0 0; margin: 0; }
a { color: var(--link); }
a:focus-visible, .scrolling:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; background: var(--paper); padding: 0.5rem 1rem; }
.skip:focus { left: 0; top: 0; z-index: 1; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 1.5rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.75rem; padding-top: 0.5rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 0.5rem; }
p, li { max-width: 46rem; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 0.875em; }
code { overflow-wrap: anywhere; }
.scrolling { overflow-x: auto; margin: 1rem 0; }
pre { margin: 0; padding: 0.75rem 1rem; background: var(--shade); border-radius: 6px; width: max-content; min-width: 100%; line-height: 1.4; }
pre code { overflow-wrap: normal; }
table { border-collapse: collapse; font-size: 0.925rem; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 0.75rem; border-bottom: 1px solid var(--line); min-width: 6rem; }
td code { overflow-wrap: normal; white-space: nowrap; }
.long { min-width: 14rem; }
th { color: var(--faint); font-weight: 600; }
.figure { text-align: right; min-width: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 30rem) {
  h1 { font-size: 1.4rem; }
  table { font-size: 0.875rem; }
}
`
