// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A page about the state of this process: facts and tables. It is HTML without scripts.
struct StatusPage: Sendable, Equatable {
    /// Whether a text is good news. Colour only repeats what the text says.
    enum Tone: String, Sendable {
        case plain
        case good
        case bad
    }

    struct Fact: Sendable, Equatable {
        var name: String
        var value: String
        var tone = Tone.plain

        init(_ name: String, _ value: String, _ tone: Tone = .plain) {
            (self.name, self.value, self.tone) = (name, value, tone)
        }
    }

    struct Facts: Sendable, Equatable {
        var title: String
        var facts: [Fact]
    }

    struct Table: Sendable, Equatable {
        var title: String
        var columns: [String]
        /// As many cells as there are columns.
        var rows: [[String]]
        /// The number of further rows, which the page leaves out.
        var omitted = 0
        /// Shown in place of a table without rows.
        var placeholder: String
    }

    struct Link: Sendable, Equatable {
        /// Absolute. The page links relatively to itself, so that a proxy may serve it under another path.
        var path: String
        var text: String
    }

    /// Of the program, and of the browser's window.
    var title: String
    /// The most important fact, in a sentence.
    var summary: String
    var tone: Tone
    var tables: [Table]
    var facts: [Facts]
    var links: [Link]
    /// When the page was made, and by which version.
    var footer: String
}

extension StatusPage {
    /// The page for the path `/`.
    var html: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>\(HTML.escaped(title))</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <header>
        <h1>\(HTML.escaped(title))</h1>
        <p class="summary \(tone.rawValue)">\(HTML.escaped(summary))</p>
        </header>
        <main>
        \(tables.map(\.html).joined(separator: "\n"))
        <div class="facts">
        \(facts.map(\.html).joined(separator: "\n"))
        </div>
        </main>
        <footer>
        <nav>\(links.map(\.html).joined(separator: " "))</nav>
        <p>\(HTML.escaped(footer))</p>
        </footer>
        </body>
        </html>

        """
    }
}

extension StatusPage.Facts {
    fileprivate var html: String {
        let items = facts.map { fact in
            "<dt>\(HTML.escaped(fact.name))</dt><dd class=\"\(fact.tone.rawValue)\">\(HTML.escaped(fact.value))</dd>"
        }
        return """
            <section>
            <h2>\(HTML.escaped(title))</h2>
            <dl>
            \(items.joined(separator: "\n"))
            </dl>
            </section>
            """
    }
}

extension StatusPage.Table {
    fileprivate var html: String {
        let heading = "<section>\n<h2>\(HTML.escaped(title))</h2>\n"
        guard !rows.isEmpty else { return heading + "<p>\(HTML.escaped(placeholder))</p>\n</section>" }
        let head = columns.map { "<th scope=\"col\">\(HTML.escaped($0))</th>" }.joined()
        let body = rows.map { row in
            // On a narrow screen each cell is a line that begins with the name of its column.
            let cells = zip(columns, row).map { "<td data-column=\"\(HTML.escaped($0))\">\(HTML.escaped($1))</td>" }
            return "<tr>\(cells.joined())</tr>"
        }
        let rest = omitted > 0 ? "\n<p>and \(omitted) more</p>" : ""
        return heading + """
            <table>
            <thead><tr>\(head)</tr></thead>
            <tbody>
            \(body.joined(separator: "\n"))
            </tbody>
            </table>\(rest)
            </section>
            """
    }
}

extension StatusPage.Link {
    /// The dot keeps a path with a colon or a second slash from naming another scheme or host.
    fileprivate var html: String { "<a href=\".\(HTML.escaped(path))\">\(HTML.escaped(text))</a>" }
}
