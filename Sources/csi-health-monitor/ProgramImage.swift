// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CGlibc
import Glibc
import ServiceLifecycle

/// The program's file and its libraries, as they are mapped into memory.
///
/// Most of their pages that are resident at rest were used by the start only, or never: the kernel maps 64 KiB around
/// each page that is used. See docs/decisions/0011-unmapping-the-programs-pages.md.
enum ProgramImage {
    /// Unmaps the pages of code and constants. The kernel maps a page again when it is next used, mostly from its page
    /// cache.
    ///
    /// May be called at any time: these pages are as in the file, so nothing is lost. (A debugger's breakpoints are.)
    ///
    /// Source: madvise(2), MADV_DONTNEED in a private mapping of a file.
    static func unmapPages() {
        unsafe readOnlySegments().forEach { segment in
            // It fails only for pages of the kernel (vdso), which stay.
            _ = unsafe madvise(UnsafeMutableRawPointer(mutating: segment.baseAddress), segment.count, MADV_DONTNEED)
        }
    }

    /// The segments that are mapped without the permission to write, in whole pages. What the dynamic linker relocates
    /// and then protects (RELRO) is not among them: its segment has the permission.
    ///
    /// Source: dl_iterate_phdr(3), elf(5).
    static func readOnlySegments() -> [UnsafeRawBufferPointer] {
        var segments: [UnsafeRawBufferPointer] = unsafe []
        _ = unsafe withUnsafeMutablePointer(to: &segments) { segments in
            unsafe CGlibc_dl_iterate_phdr(
                { object, _, segments in
                    guard let object = unsafe object?.pointee else { return 0 }
                    let headers = unsafe UnsafeBufferPointer(start: object.dlpi_phdr, count: Int(object.dlpi_phnum))
                    for number in headers.indices {
                        let header = unsafe headers[number]
                        guard header.p_type == PT_LOAD, header.p_flags & UInt32(PF_W) == 0 else { continue }
                        let segment = unsafe ProgramImage.pages(
                            from: UInt(object.dlpi_addr + header.p_vaddr),
                            UInt(header.p_memsz)
                        )
                        unsafe segments?.assumingMemoryBound(to: [UnsafeRawBufferPointer].self).pointee.append(segment)
                    }
                    return 0
                },
                segments
            )
        }
        return unsafe segments
    }

    private static func pages(from address: UInt, _ count: UInt) -> UnsafeRawBufferPointer {
        let size = UInt(getpagesize())
        let start = address / size * size
        let end = (address + count + size - 1) / size * size
        return unsafe UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: start), count: Int(end - start))
    }
}

/// Keeps the process small while it is at rest, until shutdown.
struct ProgramImageService: Service {
    /// Far longer than the kernel takes to map the pages again that are in use, which is milliseconds.
    static let interval = Duration.seconds(300)

    func run() async throws {
        try await untilShutdown {
            while true {
                try await ContinuousClock().sleep(for: Self.interval)
                ProgramImage.unmapPages()
            }
        }
    }
}
