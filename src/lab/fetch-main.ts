/** `fetch-main HOST:PORT PATH`: prints one page, for use inside another network namespace. */
import { asError } from '../base/errors.ts';
import { parseEndpoint } from './endpoint.ts';
import { fetchText } from './request.ts';

const [address = '', path = '/'] = process.argv.slice(2);
const endpoint = parseEndpoint(address);
if (endpoint === undefined) {
  process.stderr.write(`the first argument must be HOST:PORT: current value is '${address}'\n`);
  process.exitCode = 2;
} else {
  fetchText(endpoint, path).then(
    (text) => process.stdout.write(text, 'latin1'),
    (error: unknown) => {
      process.stderr.write(`${asError(error).message}\n`);
      process.exitCode = 1;
    },
  );
}
