// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension CheckReport {
    /// JUnit's XML, as CI systems read it. Only errors are failures; warnings and infos are in `system-out`.
    package var junit: String {
        let failures = findings(.error).count
        let skipped = results.count { if case .skipped = $0.outcome { true } else { false } }
        var cases = results.map(\.testCase)
        let errors = [problem, leftover].compactMap(\.self)
        cases += errors.map { text in
            """
                <testcase classname="csi-health-monitor.check" name="the check runs and leaves nothing behind">
                  <error message="\(text.xml)"/>
                </testcase>
            """
        }
        let name = "csi-health-monitor check \(side.rawValue) \(singleLine(driver?.name ?? "", toBytes: 100))"
        let attributes =
            "name=\"\(name.xml)\" tests=\"\(cases.count)\" failures=\"\(failures)\" errors=\"\(errors.count)\" "
            + "skipped=\"\(skipped)\""
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites>
              <testsuite \(attributes)>
            \(cases.joined(separator: "\n"))
              </testsuite>
            </testsuites>

            """
    }
}

extension CheckResult {
    fileprivate var testCase: String {
        let definition = check.definition
        let head =
            "    <testcase classname=\"csi-health-monitor.check\" name=\"\(check.rawValue) \(definition.title.xml)\""
        switch outcome {
        case .passed(nil): return head + "/>"
        case .passed(let measurement?): return head.with("<system-out>\(measurement.xml)</system-out>")
        case .skipped(let reason): return head.with("<skipped message=\"\(reason.xml)\"/>")
        case .deviated(let problems, let more):
            var lines = problems.flatMap { [$0.text, "sent: \($0.sent)", "received: \($0.received)"] }
            if more > 0 { lines.append("and \(more) more") }
            lines += ["section: \(definition.section)", "to do: \(definition.advice)"]
            let text = lines.joined(separator: "\n").xml
            guard definition.severity == .error else {
                return head.with("<system-out>\(definition.severity.rawValue): \(text)</system-out>")
            }
            let message = (problems.first?.text ?? "").xml
            return head.with(
                "<failure type=\"\(definition.severity.rawValue)\" message=\"\(message)\">\(text)</failure>"
            )
        }
    }
}

extension String {
    /// A start tag of a test case, its content and the end tag.
    fileprivate func with(_ content: String) -> String {
        "\(self)>\n      \(content)\n    </testcase>"
    }

    /// As character data or in an attribute value. Characters that XML 1.0 does not allow become U+FFFD.
    var xml: String {
        var escaped = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\t", "\n", "\r", " "..."\u{7E}", "\u{A0}"..."\u{D7FF}", "\u{E000}"..."\u{FFFD}",
                "\u{10000}"..."\u{10FFFF}":
                escaped.unicodeScalars.append(scalar)
            default: escaped += "\u{FFFD}"
            }
        }
        return escaped
    }
}
