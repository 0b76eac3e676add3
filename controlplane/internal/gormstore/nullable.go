package gormstore

// nullable binds "" as NULL.
func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}
