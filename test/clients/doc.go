// Package clients holds the proof that clients of KAZOO's API, and of any other, work on bugle: the curl lines of
// KAZOO's published pages, RingCentral's own npm packages, the WebSocket client that most of npm uses, a typed client generated from the server's own OpenAPI description, and pages in a browser.
// It is tests only, and needs curl, Node and Chromium. What comes from npm is pinned in package-lock.json, which names
// no registry (.npmrc), and is installed into .tools/clients.
package clients
