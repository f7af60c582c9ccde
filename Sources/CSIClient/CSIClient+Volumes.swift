// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CSISpec
import GRPCTransport

extension CSIClient {
    /// All volumes of the driver, page by page; each page is asked for when it is wanted.
    ///
    /// The pages are no snapshot: a volume may be missing or come twice. A list that ends without an error is complete.
    /// When the driver answers ABORTED, its token has expired: the list starts over, once, and volumes come again.
    ///
    /// - Returns: a sequence to be iterated once. It throws the first failed call's ``CSIError``, or one with
    ///   ``CSIError/Code/invalidResponse`` when the driver gives the same `next_token` twice, which would never end.
    ///
    /// Source: CSI specification, ListVolumes.
    public func listVolumes() -> VolumePages {
        VolumePages(client: self)
    }

    /// What the driver says of one volume.
    ///
    /// - Throws: ``CSIError``; a driver that does not know the volume answers NotFound, or OK and an abnormal condition.
    ///
    /// Source: CSI specification, ControllerGetVolume (GET_VOLUME).
    public func getVolume(id: String) async throws(CSIError) -> DriverVolume {
        var request = CSIControllerGetVolumeRequest()
        request.volumeID = id
        let response = try await call(
            CSIMethodName.controllerGetVolume,
            request,
            returning: CSIControllerGetVolumeResponse.self
        )
        guard response.volume.volumeID == id else {
            throw CSIError(
                code: .invalidResponse,
                method: CSIMethodName.controllerGetVolume,
                message: "asked for volume \"\(id)\", the driver answered for \"\(response.volume.volumeID)\""
            )
        }
        return DriverVolume(
            id: id,
            condition: response.status.hasVolumeCondition ? .init(response.status.volumeCondition) : nil
        )
    }
}

/// The pages of a driver's list of volumes, see ``CSIClient/listVolumes()``.
public struct VolumePages: AsyncSequence, Sendable {
    let client: CSIClient

    /// A list of its own, from the first page.
    public func makeAsyncIterator() -> Iterator {
        Iterator(client: client)
    }

    /// Asks for one page at a time.
    public struct Iterator: AsyncIteratorProtocol {
        private let client: CSIClient
        /// The token of the next page; nil when there is none.
        private var token: String? = ""
        private var tokensSeen: Set<String> = []
        private var mayStartOver = true

        init(client: CSIClient) {
            self.client = client
        }

        /// The next page, nil after the last one.
        public mutating func next() async throws(CSIError) -> [DriverVolume]? {
            guard let token else { return nil }
            let response: CSIListVolumesResponse
            do {
                response = try await page(startingAt: token)
            } catch  where error.code == .status(.aborted) && !token.isEmpty && mayStartOver {
                mayStartOver = false
                tokensSeen = []
                response = try await page(startingAt: "")
            }
            self.token = response.nextToken.isEmpty ? nil : response.nextToken
            guard self.token == nil || tokensSeen.insert(response.nextToken).inserted else {
                self.token = nil
                throw CSIError(
                    code: .invalidResponse,
                    method: CSIMethodName.listVolumes,
                    message: "the driver gave next_token \"\(response.nextToken)\" twice: its list would never end"
                )
            }
            return response.entries.map { entry in
                DriverVolume(
                    id: entry.volume.volumeID,
                    condition: entry.status.hasVolumeCondition ? .init(entry.status.volumeCondition) : nil
                )
            }
        }

        private func page(startingAt token: String) async throws(CSIError) -> CSIListVolumesResponse {
            var request = CSIListVolumesRequest()
            request.maxEntries = client.configuration.maxEntries
            request.startingToken = token
            return try await client.call(CSIMethodName.listVolumes, request, returning: CSIListVolumesResponse.self)
        }
    }
}
