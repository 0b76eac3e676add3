// Command provider is an OpenID provider on a free loopback port, for tests: the example server of zitadel/oidc with one client
// (web, secret). USERS_FILE is a JSON object of its users, REDIRECT_URI where it may send browsers back. It prints its issuer.
package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	users, err := storage.StoreFromFile(os.Getenv("USERS_FILE"))
	if err != nil {
		return fmt.Errorf("reading the users: %w", err)
	}
	storage.RegisterClients(storage.WebClient("web", "secret", os.Getenv("REDIRECT_URI")))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	issuer := "http://" + l.Addr().String() + "/"
	server := &http.Server{
		Handler:           exampleop.SetupServer(issuer, storage.NewStorage(users), slog.New(slog.DiscardHandler), false),
		ReadHeaderTimeout: 10 * time.Second,
	}
	fmt.Println(issuer)
	return server.Serve(l)
}
