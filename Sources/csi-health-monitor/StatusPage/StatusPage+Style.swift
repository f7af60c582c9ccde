// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension StatusPage {
    /// For light and dark screens from 320 pixels on. `unicode-bidi` keeps a text from right to left within its cell.
    static let style = """
        :root {
            color-scheme: light dark;
            --text: #1b1f24; --muted: #57606a; --line: #d0d7de; --panel: #f6f8fa; --page: #ffffff;
            --good: #1a7f37; --bad: #b42318; --link: #0550ae;
        }
        @media (prefers-color-scheme: dark) {
            :root {
                --text: #e6edf3; --muted: #9aa4af; --line: #343b44; --panel: #161b22; --page: #0d1117;
                --good: #56d364; --bad: #ff8a80; --link: #79c0ff;
            }
        }
        * { box-sizing: border-box; }
        body {
            margin: 0 auto; padding: 1.5rem 1rem; max-width: 75rem;
            background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif;
        }
        h1 { margin: 0; font-size: 1.1rem; font-weight: 600; color: var(--muted); overflow-wrap: anywhere; }
        h2 { margin: 0 0 0.5rem; font-size: 1rem; }
        p { margin: 0 0 0.5rem; }
        .summary { margin: 0.25rem 0 1.5rem; font-size: 1.5rem; line-height: 1.25; font-weight: 600; }
        .good { color: var(--good); }
        .bad { color: var(--bad); }
        section { margin-bottom: 1.5rem; }
        .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1rem; }
        .facts section { margin: 0; padding: 0.75rem 1rem; background: var(--panel); border: 1px solid var(--line); }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1rem; margin: 0; }
        dt { color: var(--muted); }
        dd { margin: 0; text-align: right; }
        dd, td, .summary { overflow-wrap: anywhere; unicode-bidi: isolate; font-variant-numeric: tabular-nums; }
        table { width: 100%; border-collapse: collapse; }
        th, td { padding: 0.35rem 1rem 0.35rem 0; border-bottom: 1px solid var(--line); text-align: left; }
        th { color: var(--muted); font-weight: 500; white-space: nowrap; }
        td { vertical-align: top; }
        a { margin-right: 0.75rem; color: var(--link); white-space: nowrap; }
        footer { margin-top: 1.5rem; color: var(--muted); }
        @media (max-width: 40rem) {
            thead { display: none; }
            tr { display: block; padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
            td { display: grid; grid-template-columns: 6.5rem 1fr; padding: 0.1rem 0; border: 0; }
            td::before { content: attr(data-column); color: var(--muted); }
        }
        """
}
