// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Glibc

/// Reads files of /proc, whose size is not known before they are read.
enum ProcFile {
    /// nil where the file cannot be read.
    static func contents(of path: String) -> String? {
        // Safe: the pointer is closed on every path and never leaves this function.
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The number of entries of a directory without `.` and `..`; nil where it cannot be read.
    static func entryCount(of directory: String) -> Int? {
        // Safe: the pointer is closed on every path and never leaves this function; no entry is dereferenced.
        guard let stream = unsafe opendir(directory) else { return nil }
        defer { unsafe closedir(stream) }
        var count = 0
        while unsafe readdir(stream) != nil { count += 1 }
        return max(count - 2, 0)
    }
}

/// Fields of `/proc/PID/stat`, see proc(5).
struct ProcessStat: Sendable, Equatable {
    /// In clock ticks: the 14th field.
    var userTicks: Double
    /// In clock ticks: the 15th field.
    var systemTicks: Double
    /// In clock ticks after boot: the 22nd field.
    var startTicks: Double
    /// The 23rd field.
    var virtualBytes: Double
    /// The 24th field.
    var residentPages: Double

    /// nil where a field is missing or not a number.
    init?(_ text: String) {
        // The second field is the name in parentheses, which may contain spaces and parentheses.
        guard let nameEnd = text.lastIndex(of: ")") else { return nil }
        let fieldsFromThird = text[nameEnd...].dropFirst().split { $0 == " " || $0 == "\n" }
        func field(_ number: Int) -> Double? {
            fieldsFromThird.count > number - 3 ? Double(fieldsFromThird[number - 3]) : nil
        }
        guard
            let userTicks = field(14), let systemTicks = field(15), let startTicks = field(22),
            let virtualBytes = field(23), let residentPages = field(24)
        else { return nil }
        self.userTicks = userTicks
        self.systemTicks = systemTicks
        self.startTicks = startTicks
        self.virtualBytes = virtualBytes
        self.residentPages = residentPages
    }
}
