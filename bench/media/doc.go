// Command media measures what relaying and playing RTP costs: bugle's loops beside floors, programs that do the same
// work with nothing above the sockets, in the same run and under the same load.
//
//	go run ./bench/media -n 500 -window 5s -rounds 3
//
// Each design runs as a process of its own, so that its CPU time holds nothing of the load's. The figures are medians of
// the rounds: microseconds of CPU for a packet, CPU seconds for 1,000 one-way stream-seconds, allocations for a packet,
// KiB for a session that is held, and how long a relayed packet is on its way while the process does other work.
package main
