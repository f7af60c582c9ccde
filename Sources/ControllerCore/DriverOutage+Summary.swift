// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HealthCore

extension DriverOutage {
    /// The text of the event: `412 of 2,000 volumes unhealthy since 2026-11-29T10:02:00Z: Inaccessible
    /// (BackendUnreachable) 400, Degraded (SlowIO) 12; all in topology.kubernetes.io/zone b`.
    ///
    /// - Parameter since: ``since`` in RFC 3339, in UTC: an event is read on other days and in other time zones.
    package func summary(since: String) -> String {
        let counts = "\(unhealthy.grouped) of \(volumes.grouped) volumes unhealthy since \(since)"
        let causes = [conditionSummary, commonSummary].filter { !$0.isEmpty }.joined(separator: "; ")
        return causes.isEmpty ? counts : "\(counts): \(causes)"
    }

    /// `Inaccessible (BackendUnreachable) 400, Degraded (SlowIO) 12`
    package var conditionSummary: String {
        var texts = conditions.map { count in
            let reason = bounded(count.identity.reason, toBytes: Self.maximumReasonBytes)
            return "\(count.identity.status.rawValue) (\(reason)) \(count.volumes.grouped)"
        }
        if otherConditions > 0 { texts.append("and \(otherConditions.grouped) other reasons") }
        return texts.joined(separator: ", ")
    }

    /// `all in topology.kubernetes.io/zone b, 97 % have StorageClass gold`
    package var commonSummary: String {
        common.map { common in
            let share = common.unhealthy == common.total ? "all" : "\(common.unhealthy * 100 / common.total) %"
            return switch common.attribute {
            case .storageClass(let name): "\(share) have StorageClass \(name)"
            case .segment(let segment): "\(share) in \(segment.key) \(segment.value)"
            }
        }.joined(separator: ", ")
    }

    /// The driver chooses reasons, and an event's message has 1024 bytes.
    private static var maximumReasonBytes: Int { 64 }
}

extension OutageState {
    /// The message of the event that ends an outage: `The outage lasted 12m; 3 of 2,000 volumes are still unhealthy`.
    package static func endedMessage(lasted: Duration, unhealthy: Int, volumes: Int) -> String {
        let rest =
            switch unhealthy {
            case 0: "no volume is unhealthy"
            case 1: "1 of \(volumes.grouped) volumes is still unhealthy"
            default:
                "\(unhealthy.grouped) of \(volumes.grouped) volumes are still unhealthy"
            }
        return "The outage lasted \(age(max(0, lasted.components.seconds))); \(rest)"
    }
}

extension Int {
    /// With commas between thousands: `2,000`.
    package var grouped: String {
        let digits = Array(String(self))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }
}
