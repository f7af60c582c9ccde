// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Takes secrets out of what a driver says: it knows those that were sent to it, and a backend's error may hold them. What
/// it says goes to logs and events, which many may read.
///
/// Values of less than four bytes stay: they would hit any text, and are no secrets.
struct Redaction {
    static let placeholder = "(redacted)"

    /// Longer ones first: one may be a part of another.
    private let values: [String]

    init(_ secrets: [String: String]) {
        values = Set(secrets.values).filter { $0.utf8.count >= 4 }.sorted { ($1.count, $0) < ($0.count, $1) }
    }

    func callAsFunction(_ text: String) -> String {
        values.reduce(text) { text, value in text.contains(value) ? text.replacing(value, with: Self.placeholder) : text
        }
    }

    func callAsFunction(_ health: DriverVolumeHealth) -> DriverVolumeHealth {
        guard !values.isEmpty else { return health }
        var health = health
        for index in health.entries.indices {
            health.entries[index].reason = self(health.entries[index].reason)
            health.entries[index].message = self(health.entries[index].message)
        }
        return health
    }
}
