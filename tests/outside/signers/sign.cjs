// One wish a line in, one token a line out, each by its vendor's own package: {"by": "cloudfront-url", ...}.

const cloudfront = require('@aws-sdk/cloudfront-signer');
const { CAT } = require('@eyevinn/cat');
const EdgeAuth = require('akamai-edgeauth');
const readline = require('readline');

async function signed(wish) {
  switch (wish.by) {
    case 'cloudfront-url':
      return cloudfront.getSignedUrl(wish.how);
    case 'cloudfront-cookies':
      return Object.entries(cloudfront.getSignedCookies(wish.how)).map((pair) => pair.join('=')).join('; ');
    case 'akamai-acl':
      return new EdgeAuth(wish.how).generateACLToken(wish.acl);
    case 'akamai-url':
      return new EdgeAuth(wish.how).generateURLToken(wish.url);
    case 'cat': {
      const signer = new CAT({ keys: { [wish.kid]: Buffer.from(wish.key, 'hex') }, expectCwtTag: wish.tagged });
      return signer.generateFromJson(wish.claims, { type: 'mac', alg: 'HS256', kid: wish.kid });
    }
    case 'cat-validate': {
      const checker = new CAT({ keys: { [wish.kid]: Buffer.from(wish.key, 'hex') }, expectCwtTag: false });
      const result = await checker.validate(wish.token, 'mac', { kid: wish.kid, issuer: wish.issuer, url: new URL(wish.url) });
      return result.error ? `refused: ${result.error.message}` : 'good';
    }
    default:
      throw new Error(`nobody signs ${wish.by}`);
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(await signed(JSON.parse(line)));
  }
})();
