package objectstore

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// settings are what the first start chose and later ones keep.
type settings struct {
	Addr    string `json:"addr"`    // host:port, of a listen address with port 0
	Sidecar bool   `json:"sidecar"` // metadata in files, because the file system has no extended attributes
}

const xattrProbe = "user.ergon-probe"

// prepare makes the directory on the first start and checks it on later ones. No mode is changed silently: objects whose
// metadata lies in extended attributes are unreadable without them.
func prepare(dir, listen string) (settings, error) {
	for _, d := range []string{dir, dataDir(dir), sidecarDir(dir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return settings{}, fmt.Errorf("making the store's directory: %w", err)
		}
	}
	var s settings
	path := filepath.Join(dir, "settings.json")
	err := readJSON(path, &s)
	first := errors.Is(err, os.ErrNotExist)
	if err != nil && !first {
		return settings{}, fmt.Errorf("reading the store's settings: %w", err)
	}
	probe := probeXattr(dataDir(dir))
	switch {
	case first:
		s.Sidecar = probe != nil
	case !s.Sidecar && probe != nil:
		return settings{}, fmt.Errorf("the store in %s keeps metadata in extended attributes, but its file system refuses them now: %w; mount it with user_xattr or move the directory back", dir, probe)
	}
	if s.Addr, err = chooseAddr(listen, s.Addr); err != nil {
		return settings{}, err
	}
	return s, writeJSON(path, s)
}

func dataDir(dir string) string    { return filepath.Join(dir, "data") }
func sidecarDir(dir string) string { return filepath.Join(dir, "sidecar") }

// probeXattr sets and reads an attribute; asking for a missing one is not enough, some file systems only fail on writing.
func probeXattr(dir string) error {
	if err := unix.Setxattr(dir, xattrProbe, []byte("1"), 0); err != nil {
		return fmt.Errorf("setting an extended attribute: %w", err)
	}
	if _, err := unix.Getxattr(dir, xattrProbe, make([]byte, 8)); err != nil {
		return fmt.Errorf("reading an extended attribute: %w", err)
	}
	if err := unix.Removexattr(dir, xattrProbe); err != nil {
		return fmt.Errorf("removing an extended attribute: %w", err)
	}
	return nil
}

// chooseAddr keeps the port of the last start where the configuration leaves it open, unless somebody else took it.
func chooseAddr(listen, last string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("the store's listen address %q is not host:port: %w", listen, err)
	}
	if port != "0" {
		return listen, nil
	}
	if lastHost, _, err := net.SplitHostPort(last); err == nil && lastHost == host && canListen(last) == nil {
		return last, nil
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", fmt.Errorf("choosing a port for the store: %w", err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return "", fmt.Errorf("choosing a port for the store: %w", err)
	}
	return addr, nil
}

func canListen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	return l.Close()
}
