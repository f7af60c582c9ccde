// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FuzzTargets
import Glibc

/// The target that scripts/fuzz.sh names.
private let target: FuzzTarget = {
    // getenv(3): safe, because nothing changes the environment of this process.
    guard let name = unsafe getenv("FUZZ_TARGET"), let target = unsafe FuzzTarget(rawValue: String(cString: name))
    else {
        // libFuzzer's `main` has no other way to report a wrong set-up.
        fatalError("set FUZZ_TARGET to one of \(FuzzTarget.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return target
}()

/// libFuzzer, which has `main`, calls this with every input. After a trap it keeps the input.
///
/// Source: https://llvm.org/docs/LibFuzzer.html#fuzz-target
@c(LLVMFuzzerTestOneInput)
package func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    // libFuzzer's bytes are valid during this call.
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: size))
    do {
        try target.run(bytes)
    } catch {
        // The trap reports the finding to libFuzzer.
        fatalError("\(target.rawValue): \(error)")
    }
    return 0
}
