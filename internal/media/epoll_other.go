//go:build !linux

package media

import "bugle"

const haveEpoll = false

func newEpollLoop(*Engine, int) (loop, error) {
	return nil, &bugle.Error{Op: "media.NewEngine", Kind: bugle.KindUnsupported, Field: "loop",
		Message: "the epoll loop needs Linux; allowed here is portable"}
}
