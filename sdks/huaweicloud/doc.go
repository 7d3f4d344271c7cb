// Package huaweicloud is the part of the Terraform provider huaweicloud that polynat uses: names and types, without descriptions.
package huaweicloud
