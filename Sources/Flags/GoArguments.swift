// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Arguments in the syntax of Go's `flag` package, which the arguments of existing manifests are written in.
///
/// `-x` and `--x` are alike; a value follows after `=` or as the next argument, whatever that looks like; a flag for a
/// boolean takes a value after `=` only, and is true without one; the first argument that is no flag, and `--`, end
/// the flags. https://pkg.go.dev/flag#hdr-Command_line_flag_syntax
package enum GoArguments {
    /// The same flags in the form `--name=value`, which leaves nothing to interpretation.
    ///
    /// A flag at the end that lacks its value is left without one, and unknown flags are left as they are: those errors
    /// are for the parser to report.
    ///
    /// - Parameter booleans: the names of the flags that need no value.
    /// - Throws: ``UsageError`` for an argument that is no flag. (Go leaves these to the program, which we are.)
    package static func normalized(_ arguments: [String], booleans: Set<String>) throws(UsageError) -> [String] {
        var normalized: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--" {
                if let stray = rest.first { throw UsageError(message: "unexpected argument \"\(stray)\"") }
                break
            }
            guard argument.hasPrefix("-"), argument != "-" else {
                throw UsageError(message: "unexpected argument \"\(argument)\"")
            }
            let flag = argument.dropFirst(argument.hasPrefix("--") ? 2 : 1)
            let name = flag.prefix { $0 != "=" }
            guard !name.isEmpty, !name.hasPrefix("-") else {
                throw UsageError(message: "\"\(argument)\" is not a flag; write --name=value")
            }
            if name == "h" || name == "help" {
                normalized.append("--help")
            } else if name.endIndex < flag.endIndex {
                normalized += Self.flag(name, value: flag[name.endIndex...].dropFirst())
            } else if booleans.contains(String(name)) {
                normalized += Self.flag(name, value: "true")
            } else if let value = rest.popFirst() {
                normalized += Self.flag(name, value: value[...])
            } else {
                normalized.append("--\(name)")
            }
        }
        return normalized
    }

    /// ArgumentParser takes `--name=` for a flag that lacks its value, and an empty argument for an empty value.
    private static func flag(_ name: Substring, value: Substring) -> [String] {
        value.isEmpty ? ["--\(name)", ""] : ["--\(name)=\(value)"]
    }
}

/// Arguments that the program cannot be started with.
package struct UsageError: Error, Equatable, CustomStringConvertible {
    /// Which flag, what is wrong with it, and what to write instead; one line.
    package var message: String

    package init(message: String) {
        self.message = message
    }

    package var description: String { message }
}
