//! Real git remotes for tests: file, smart HTTP and ssh.
