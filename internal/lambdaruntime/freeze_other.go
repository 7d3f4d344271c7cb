//go:build !unix

package lambdaruntime

func (p *osProcess) freeze() {} // no such signal: it runs on between two invocations
func (p *osProcess) thaw()   {}
