# What a newcomer needs.  meson.build builds; these are short names.

prefix  ?= /usr/local
DESTDIR ?=

all: build/release/build.ninja
	ninja -C build/release

demo:                # install what is needed, build, run a server once, store and read a secret
	@./demo

check:               # all tests; the last line is "N passed, M failed"
	@./check

install: all         # binary, vault -> coffer, man page, systemd unit, completion
	@meson configure build/release -Dprefix=$(prefix) >/dev/null
	DESTDIR=$(DESTDIR) meson install -C build/release --quiet

clean:
	rm -rf build

build/release/build.ninja:
	meson setup build/release --buildtype=release -Dtests=false

.PHONY: all demo check install clean
