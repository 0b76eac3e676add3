package objectstore

import (
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3err"
)

// refusedPrefixes are headers that change what a presigned PUT does without being part of its signature. versitygw itself
// refuses the copy source in presigned requests; the rest it would take (facts/object-storage.md tells what MinIO does).
var refusedPrefixes = []string{
	"x-amz-copy-source", "x-amz-tagging", "x-amz-acl", "x-amz-grant-", "x-amz-meta-", "x-amz-storage-class",
	"x-amz-object-lock-", "x-amz-website-redirect-location", "x-amz-server-side-encryption",
}

// refuseUnsigned answers 403 to a presigned request with such a header, unless the header is signed.
func refuseUnsigned(c fiber.Ctx) error {
	signed := c.Query("X-Amz-SignedHeaders")
	if signed == "" {
		return c.Next()
	}
	names := strings.Split(strings.ToLower(signed), ";")
	for key := range c.Request().Header.All() {
		name := strings.ToLower(string(key))
		if refused(name) && !contains(names, name) {
			e := s3err.GetAPIError(s3err.ErrAccessDenied)
			return c.Status(e.HTTPStatusCode).SendString(e.Code + ": the header " + name + " is not part of the signature")
		}
	}
	return c.Next()
}

func refused(name string) bool {
	for _, p := range refusedPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}
