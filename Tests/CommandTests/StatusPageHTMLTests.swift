// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HealthMonitorTestKit
import Testing

@testable import csi_health_monitor

/// The page is HTML in which no text from outside is markup.
@Suite struct StatusPageHTMLTests {
    /// What a browser shows of an escaped text; nil if the text has a bare `&`, or markup.
    private func shown(_ escaped: String) -> String? {
        let entities = ["amp": "&", "lt": "<", "gt": ">", "quot": "\"", "#39": "'"]
        var shown = ""
        var rest = Substring(escaped)
        while let first = rest.unicodeScalars.first {
            guard !"<>\"'".unicodeScalars.contains(first) else { return nil }
            guard first == "&" else {
                shown.unicodeScalars.append(first)
                rest.unicodeScalars.removeFirst()
                continue
            }
            guard let end = rest.firstIndex(of: ";"), let text = entities[String(rest[..<end].dropFirst())] else {
                return nil
            }
            shown += text
            rest = rest[end...].dropFirst()
        }
        return shown
    }

    @Test(arguments: 0..<8) func `any escaped text is shown as it is, and is no markup`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let characters = Array("<>&\"'=/;#! ltgampquo39xé한🙂\\`{}").flatMap(\.unicodeScalars)
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<24, using: &generator) {
                text.unicodeScalars.append(characters.randomElement(using: &generator) ?? "<")
            }
            #expect(shown(HTML.escaped(text)) == text)
        }
    }

    @Test func `of every character below U+2100, the escaped text is visible`() throws {
        for number in UInt32(0)..<0x2100 {
            let scalar = try #require(Unicode.Scalar(number))
            let escaped = HTML.escaped(String(scalar))
            let text = try #require(shown(escaped))
            let isInvisible = [.control, .format, .lineSeparator, .paragraphSeparator, .unassigned].contains(
                scalar.properties.generalCategory
            )
            let hexadecimal = String(format: "%04X", number)
            switch number {
            case 9, 10: #expect(text == " ")
            case _ where isInvisible: #expect(text == "[U+\(hexadecimal)]")
            default: #expect(text == String(scalar), "U+\(hexadecimal)")
            }
        }
    }

    @Test func `characters that change the direction of a text are shown by their numbers`() {
        #expect(HTML.escaped("a\u{202E}b\u{2066}\u{200F}c") == "a[U+202E]b[U+2066][U+200F]c")
        #expect(HTML.escaped("\u{E0001}") == "[U+E0001]")
    }

    /// The elements with the names of their attributes.
    private func structure(_ html: String) -> [String] {
        html.matches(of: /<[^>]*>/).map { tag in
            tag.output.replacing(/="[^"]*"/, with: "").description
        }
    }

    @Test(arguments: StatusPageScene.hostileTexts)
    func `a hostile text changes no element of the page`(text: String) {
        let ordinary = StatusPageScene.html(StatusPageScene.page(text: "ordinary"))
        let html = StatusPageScene.html(StatusPageScene.page(text: text))
        #expect(structure(html) == structure(ordinary))
        #expect(html.count { $0 == "<" } == ordinary.count { $0 == "<" })
        #expect(html.count { $0 == "\"" } == ordinary.count { $0 == "\"" })
        // In the title twice, the problem, the claim with its reason, the error twice, and the facts.
        #expect(html.ranges(of: HTML.escaped(text)).count >= 10)
    }

    @Test func `the page has no script, loads nothing and has no event handler`() {
        let html = StatusPageScene.html(StatusPageScene.page())
        for text in ["<script", "<link", "<img", "<iframe", "url(", "@import", "javascript:", " on"] {
            #expect(structure(html).allSatisfy { !$0.contains(text) })
        }
        #expect(!StatusPage.style.contains("url(") && !StatusPage.style.contains("@import"))
        #expect(!StatusPage.style.contains("<"))
    }

    @Test(arguments: [
        ("/metrics", "./metrics"), ("//evil.example/m", ".//evil.example/m"), ("/a:b", "./a:b"),
        ("/\"><b>", "./&quot;&gt;&lt;b&gt;"),
    ])
    func `a link is relative to the page, whatever its path`(path: String, href: String) {
        let html = StatusPageScene.page().page(links: [.init(path: path, text: "m")]).html
        #expect(html.contains("<nav><a href=\"\(href)\">m</a></nav>"))
    }

    @Test func `every element is closed`() throws {
        let page = StatusPageScene.page(text: "x")
        var open: [Substring] = []
        for match in StatusPageScene.html(page).matches(of: /<(\/?)([a-z0-9]+)[^>]*>/) {
            let (_, slash, name) = match.output
            if name == "meta" { continue }
            if slash.isEmpty {
                open.append(name)
            } else {
                #expect(open.popLast() == name)
            }
        }
        #expect(open.isEmpty)
    }
}
