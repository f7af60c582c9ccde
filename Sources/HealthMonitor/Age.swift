// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

extension Duration {
    /// How long ago something was, by the wall clock; zero when it is yet to come. Both in seconds since 1970.
    ///
    /// For any number: times of objects are what anybody wrote there, and in protobuf the API server checks none.
    static func age(of seconds: Int64, now wall: Int64) -> Duration {
        max(.zero, .seconds(wall) - .seconds(seconds))
    }
}
