//go:build !linux || !(amd64 || arm64 || riscv64 || loong64)

package media

import "bugle"

const haveEpoll = false

func newEpollLoop(*Engine, int) (loop, error) {
	return nil, &bugle.Error{Op: "media.NewEngine", Kind: bugle.KindUnsupported, Field: "loop",
		Message: "the epoll loop needs Linux; allowed here is portable"}
}
