// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The numbers of requests to an API server, by verb, resource and status: `create events 201`.
extension [String: Int] {
    /// All writes but those of leases, which a leader renews all the time.
    var writes: Int { total { $0.isWrite && $0.resource != "leases" } }

    /// The writes that the server refused.
    var refusedWrites: Int { total { $0.isWrite && $0.resource != "leases" && $0.isRefused } }

    var createdEvents: Int { self["create events 201"] ?? 0 }

    /// Successful writes of claims' status.
    var statusWrites: Int { total { $0.isWrite && $0.resource == "persistentvolumeclaims/status" && !$0.isRefused } }

    private func total(_ isCounted: (RequestKind) -> Bool) -> Int {
        reduce(0) { sum, entry in isCounted(RequestKind(entry.key)) ? sum + entry.value : sum }
    }
}

private struct RequestKind {
    let isWrite: Bool
    let resource: String
    let isRefused: Bool

    init(_ text: String) {
        let words = text.split(separator: " ").map(String.init)
        isWrite = ["create", "update", "patch", "delete"].contains(words.first)
        resource = words.count == 3 ? words[1] : ""
        isRefused = !(words.last?.hasPrefix("2") ?? false)
    }
}
