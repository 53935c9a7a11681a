package media

const haveEpoll = false

func newEpollLoop(e *Engine, n int) (loop, error) { return newPortableLoop(e, n) }
