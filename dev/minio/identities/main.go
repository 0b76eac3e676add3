// Command identities makes the three identities of design 03 on a MinIO: maintenance, put signer, get signer. It reads one
// JSON object from standard input: endpoint (host:port), root_user, root_secret, bucket, and for maintenance, put and get each
// {access_key, secret_key}. It shows operators what the policies must be.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/minio/madmin-go/v3"
)

type pair struct {
	Access string `json:"access_key"`
	Secret string `json:"secret_key"`
}

type order struct {
	Endpoint    string `json:"endpoint"`
	RootUser    string `json:"root_user"`
	RootSecret  string `json:"root_secret"`
	Bucket      string `json:"bucket"`
	Maintenance pair   `json:"maintenance"`
	Put         pair   `json:"put"`
	Get         pair   `json:"get"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "identities:", err)
		os.Exit(1)
	}
}

func run() error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	admin, err := madmin.New(o.Endpoint, o.RootUser, o.RootSecret, false)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	// A MinIO that has just started replaces what it knows of identities, when it has read its disk, by what it read: one that was
	// made meanwhile is forgotten. This list is answered only after that (cmd/iam.go, configLoaded).
	if _, err := admin.ListUsers(context.Background()); err != nil {
		return fmt.Errorf("waiting until the server has loaded its identities: %w", err)
	}
	objects, bucket := "arn:aws:s3:::"+o.Bucket+"/*", "arn:aws:s3:::"+o.Bucket
	for _, id := range []struct {
		name string
		pair pair
		doc  []statement
	}{
		{"ergon-put", o.Put, []statement{allow(objects, "s3:PutObject")}},
		{"ergon-get", o.Get, []statement{allow(objects, "s3:GetObject")}},
		{"ergon-maintenance", o.Maintenance, []statement{
			allow(objects, "s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
			allow(bucket, "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation", "s3:CreateBucket",
				"s3:GetBucketVersioning", "s3:PutBucketVersioning", "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration",
				"s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
		}},
	} {
		if err := add(admin, id.name, id.pair, id.doc); err != nil {
			return fmt.Errorf("making %s: %w", id.name, err)
		}
	}
	return nil
}

type statement struct {
	Effect   string
	Action   []string
	Resource []string
}

func allow(resource string, actions ...string) statement {
	return statement{Effect: "Allow", Action: actions, Resource: []string{resource}}
}

func add(admin *madmin.AdminClient, name string, p pair, statements []statement) error {
	ctx := context.Background()
	doc, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		return err
	}
	if err := admin.AddCannedPolicy(ctx, name, doc); err != nil {
		return err
	}
	if err := admin.AddUser(ctx, p.Access, p.Secret); err != nil {
		return err
	}
	_, err = admin.AttachPolicy(ctx, madmin.PolicyAssociationReq{Policies: []string{name}, User: p.Access})
	return err
}
