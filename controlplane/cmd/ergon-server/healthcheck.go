package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func newHealthcheck(p *process) *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a server whether it is ready; for containers, which have no other program to ask with",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return healthcheck(cmd.Context(), p, url) },
	}
	cmd.Flags().StringVar(&url, "url", "", "base URL; default: ERGON_HTTP_LISTEN of this configuration")
	return cmd
}

func healthcheck(ctx context.Context, p *process, url string) error {
	if url == "" {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		url = "http://" + cfg.HTTP.Listen
		if cfg.HTTP.TLSCertFile != "" {
			url = "https://" + cfg.HTTP.Listen
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("asking for readiness: %w", err)
	}
	// Nothing secret is sent and only the status counts, so the certificate, made for another name, is not checked.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // see above
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking for readiness: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", resp.StatusCode)
	}
	return nil
}
