// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import HTTPTransport
import KubernetesAPI

extension KubernetesClient {
    /// The server's version, such as `v1.37.0`.
    ///
    /// RBAC: authenticated users have the rule by default (ClusterRole `system:public-info-viewer`, non-resource URL
    /// `/version`).
    ///
    /// - Throws: ``KubernetesError``; `decoding` if the response has no `gitVersion`.
    package func serverVersion() async throws(KubernetesError) -> String {
        try await serverInformation().version
    }

    /// The server's version, and the difference between its clock and the local one.
    package struct ServerInformation: Sendable, Equatable {
        package var version: String
        /// How far the local clock is ahead of the server's; negative if it is behind. From the response's Date header,
        /// which has whole seconds; nil without one.
        package var clockAhead: Duration?
    }

    /// Reads the version, as ``serverVersion()`` does, and the Date header of the response.
    package func serverInformation() async throws(KubernetesError) -> ServerInformation {
        let info = RequestInfo.version
        let sent = Time.now().seconds
        let (body, headers) = try await response(info, Content(accept: "application/json"))
        let received = Time.now().seconds
        guard let version = try? JSONDecoder().decode(Version.self, from: Data(body)) else {
            throw KubernetesError(code: .decoding, message: "\(info): the response has no gitVersion")
        }
        let date = headers["Date"].flatMap(HTTPDate.secondsSince1970)
        return ServerInformation(
            version: version.gitVersion,
            clockAhead: date.map { Self.clockAhead(of: $0, sent: sent, received: received) }
        )
    }

    /// Nothing while the server's clock shows a time between sending the request and receiving the response, which may
    /// take long.
    static func clockAhead(of date: Int64, sent: Int64, received: Int64) -> Duration {
        .seconds(date < sent ? sent - date : date > received ? received - date : 0)
    }

    /// k8s.io/apimachinery, pkg/version, `Info`.
    private struct Version: Decodable {
        var gitVersion: String
    }
}

/// The Date header of a response: `Fri, 02 Jan 2026 15:04:05 GMT`.
///
/// Source: RFC 9110, 5.6.7, IMF-fixdate.
enum HTTPDate {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// nil for any other format.
    static func secondsSince1970(_ text: String) -> Int64? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = Int64(parts[1]), (1...31).contains(day),
            let month = months.firstIndex(of: String(parts[2])), let year = Int64(parts[3]),
            (1970...9999).contains(year)
        else { return nil }
        let time = parts[4].split(separator: ":").compactMap { Int64($0) }
        guard time.count == 3, (0..<24).contains(time[0]), (0..<60).contains(time[1]), (0...60).contains(time[2])
        else { return nil }
        // Years are counted from March, so that a leap day is the last day of a year.
        let shifted = (Int64(month) + 10) % 12
        let years = year - (month < 2 ? 1 : 0)
        let days = years * 365 + years / 4 - years / 100 + years / 400 + (shifted * 153 + 2) / 5 + day - 1 - 719_468
        return ((days * 24 + time[0]) * 60 + time[1]) * 60 + time[2]
    }
}
