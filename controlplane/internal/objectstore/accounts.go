package objectstore

import (
	"encoding/json"
	"fmt"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3err"
)

// accounts is versitygw's view of who exists: a fixed list that no call can change.
type accounts map[string]auth.Account

func newAccounts(pairs ...pair) accounts {
	list := accounts{}
	for _, p := range pairs {
		list[p.Access] = auth.Account{Access: p.Access, Secret: p.Secret, Role: auth.RoleUser}
	}
	return list
}

// GetUserAccount finds an identity.
func (a accounts) GetUserAccount(access string) (auth.Account, error) {
	if found, ok := a[access]; ok {
		return found, nil
	}
	return auth.Account{}, auth.ErrNoSuchUser
}

// ResolveAccounts gives those that do not exist.
func (a accounts) ResolveAccounts(keys []string) ([]string, error) {
	missing := []string{}
	for _, k := range keys {
		if _, ok := a[k]; !ok {
			missing = append(missing, k)
		}
	}
	return missing, nil
}

func notSupported() error { return s3err.GetAPIError(s3err.ErrAdminMethodNotSupported) }

// CreateAccount refuses.
func (accounts) CreateAccount(auth.Account) error { return notSupported() }

// UpdateUserAccount refuses.
func (accounts) UpdateUserAccount(string, auth.MutableProps) error { return notSupported() }

// DeleteUserAccount refuses.
func (accounts) DeleteUserAccount(string) error { return notSupported() }

// ListUserAccounts refuses.
func (accounts) ListUserAccounts() ([]auth.Account, error) { return nil, notSupported() }

// Shutdown has nothing to do.
func (accounts) Shutdown() error { return nil }

type statement struct {
	Effect    string              `json:"Effect"`
	Principal map[string][]string `json:"Principal"`
	Action    []auth.Action       `json:"Action"`
	Resource  []string            `json:"Resource"`
}

// policy grants each identity what it needs. With a bucket policy in place versitygw grants nothing that the policy does not.
// Parts are put under s3:PutObject too; the put signer needs no other action.
func policy(bucket string, k keyFile) ([]byte, error) {
	objects, whole := "arn:aws:s3:::"+bucket+"/*", "arn:aws:s3:::"+bucket
	grant := func(p pair, resource string, actions ...auth.Action) statement {
		return statement{Effect: "Allow", Principal: map[string][]string{"AWS": {p.Access}}, Action: actions, Resource: []string{resource}}
	}
	doc, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []statement{
			grant(k.PutSigner, objects, auth.PutObjectAction),
			grant(k.GetSigner, objects, auth.GetObjectAction),
			grant(k.Maintenance, objects, auth.PutObjectAction, auth.GetObjectAction, auth.DeleteObjectAction,
				auth.AbortMultipartUploadAction, auth.ListMultipartUploadPartsAction),
			grant(k.Maintenance, whole, auth.ListBucketAction, auth.ListBucketMultipartUploadsAction,
				auth.GetBucketVersioningAction, auth.GetEncryptionConfigurationAction, auth.GetBucketCorsAction,
				auth.GetLifecycleConfigurationAction),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the bucket policy: %w", err)
	}
	return doc, nil
}
