/** The page's style sheet: light, dark and print, no font and no picture from anywhere. */

const light = `
  --page: #f6f6f3; --surface: #ffffff; --ink: #14140f; --soft: #54534e; --faint: #7b7a74;
  --grid: #e6e5e0; --edge: #dddcd6; --accent: #1f5fae; --good: #0a7a2f; --bad: #c4281f;
  --good-wash: #e7f5ea; --bad-wash: #fdecea; --none-wash: #f0efeb;
  --c1: #2a78d6; --c2: #eb6834; --c3: #1baf7a; --c4: #d99500; --c5: #4a3aa7; --c6: #d9568a;
  --c7: #8a8983;`;

const dark = `
  --page: #111110; --surface: #1b1b19; --ink: #f4f4f0; --soft: #c0bfb8; --faint: #94938c;
  --grid: #2f2f2c; --edge: #33332f; --accent: #7db4f2; --good: #4cc474; --bad: #ff7b70;
  --good-wash: #14301d; --bad-wash: #3a1916; --none-wash: #282825;
  --c1: #3f8ee8; --c2: #e0662f; --c3: #1fa573; --c4: #cc8c08; --c5: #9488ea; --c6: #da5a8c;
  --c7: #8f8e87;`;

const page = `
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif;
}
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 40px; }
h1 { margin: 0 0 4px; font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 44px 0 4px; font-size: 21px; line-height: 1.3; }
h3 { margin: 0 0 2px; font-size: 16px; }
p { margin: 0 0 12px; }
.lead, .why { color: var(--soft); max-width: 74ch; }
.why { font-size: 14.5px; margin: 0 0 8px; }
a { color: var(--accent); }
nav ul { list-style: none; margin: 16px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 14.5px; }
footer { padding-top: 28px; padding-bottom: 48px; color: var(--faint); font-size: 14px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 162px), 1fr)); gap: 12px; margin: 24px 0 0; }
.tile, .card { background: var(--surface); border: 1px solid var(--edge); border-radius: 10px; }
.tile { padding: 14px 16px; }
.tile dt { color: var(--soft); font-size: 14px; line-height: 1.35; min-height: 2.7em; }
.tile dd { margin: 4px 0 0; }
.tile .big { font-size: 28px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; white-space: nowrap; }
.tile .goal { font-size: 13px; margin-top: 6px; display: flex; flex-wrap: wrap; gap: 2px 6px; }
.tile .bound { white-space: nowrap; color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 16px; margin: 12px 0 0; }
.card { padding: 16px 18px 12px; min-width: 0; display: flex; flex-direction: column; }
.card.wide { margin-top: 16px; }
.card > svg { margin: 6px 0 8px; }
.card > details { margin-top: auto; }
.none { color: var(--faint); font-style: italic; margin: 8px 0; }`;

const tables = `
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; line-height: 1.4; }
th, td { text-align: left; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; }
td.number, th.number { text-align: right; padding-right: 16px; font-variant-numeric: tabular-nums; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
.note { display: block; color: var(--faint); font-size: 13px; }
.mark { display: inline-block; padding: 0 8px; border-radius: 9px; font-weight: 600; white-space: nowrap; }
.mark.pass { color: var(--good); background: var(--good-wash); }
.mark.miss { color: var(--bad); background: var(--bad-wash); }
.mark.open { color: var(--soft); background: var(--none-wash); }
details { font-size: 14px; margin: 6px 0; }
summary { cursor: pointer; color: var(--accent); padding: 3px 0; }
pre { overflow: auto; max-height: 480px; padding: 12px; border-radius: 8px; background: var(--none-wash); font: 12px/1.45 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; font-size: 14.5px; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }`;

const charts = `
svg { display: block; width: 100%; max-width: 640px; height: auto; }
svg text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; font-variant-numeric: tabular-nums; white-space: pre; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 4px 0 0; padding: 0; font-size: 13.5px; color: var(--soft); }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }`;

const media = `
@media (max-width: 520px) {
  main, header, footer { padding-left: 14px; padding-right: 14px; }
  header { padding-top: 24px; }
  h1 { font-size: 25px; }
  .card { padding: 12px 12px 8px; }
  .tiles { grid-template-columns: 1fr 1fr; gap: 8px; }
  .tile { padding: 10px 12px; }
  .tile .big { font-size: 23px; }
  td.number, th.number { padding-right: 10px; }
  td .mark .word { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: 6px; }
  svg text { font-size: 14px; }
}
@media print {
  :root { ${light} --page: #ffffff; }
  html { color-scheme: light; }
  body { font-size: 12px; }
  .card, .tile, tr { break-inside: avoid; }
  h2 { break-after: avoid; margin-top: 24px; }
  nav, #raw, details { display: none; }
  .scroll { overflow: visible; }
  table, .note { font-size: 9.5px; }
  th, td, td.number, th.number { padding: 3px 7px 3px 0; }
  .cards { grid-template-columns: 1fr 1fr; }
  .swatch, .mark { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}`;

export const styleSheet = `
:root {${light}
}
@media (prefers-color-scheme: dark) {
:root {${dark}
}
}
${page}${tables}${charts}${media}
`;
